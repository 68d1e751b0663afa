"""Samples, profiles and texts through the formats: 16 bits, A1111's parameters, refusals."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import odd_files
from helpers.stand_ins import STAGES, photo
from PIL import Image, ImageCms

from visuals.configs.schema import load_settings
from visuals.pipeline.build.text_to_image import references
from visuals.pipeline.images import provenance
from visuals.pipeline.images.infotext import format_infotext
from visuals.pipeline.images.read import PictureError, read_header, read_image
from visuals.pipeline.images.write import EncodeError, Format, encode_png
from visuals.pipeline.inputs import shots
from visuals.pipeline.runner.run import Stages, run_shots
from visuals.pipeline.runs.folder import RunFolder
from visuals.stages.regions import composite
from visuals.stages.shot import FileInput, Prompted, Shot
from visuals.training.datasets import images as dataset_images

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(3).integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)


def camera_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "a camera"
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_every_orientation_is_applied_once(tmp_path: Path, orientation: int, ending: str) -> None:
    upright = np.zeros((40, 64, 3), np.uint8)
    upright[:8], upright[:, :8, 1] = 255, 255
    lying = Image.fromarray(np.ascontiguousarray(odd_files.lay(upright, orientation)))
    path = tmp_path / f"a.{ending}"
    lossless: dict[str, Any] = {"quality": 100, "subsampling": 0} if ending == "jpg" else {}
    lossless = {"lossless": True} if ending == "webp" else lossless
    lying.save(path, exif=camera_exif(orientation), **lossless)
    picture = read_image(path)
    assert read_header(path).size_wh == (64, 40) == picture.rgb.shape[1::-1]
    assert np.abs(picture.rgb.astype(int) - upright).max() <= (3 if ending == "jpg" else 0)
    assert picture.exif is not None
    table = Image.Exif()
    table.load(picture.exif)
    assert 0x0112 not in table and table[0x010F] == "a camera"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_orientation_of_a_tiff_is_applied_in_every_mode(
    tmp_path: Path, mode: str, compression: str | None, orientation: int
) -> None:
    upright = Image.fromarray(noise(20, 30, 4)).convert("RGB" if mode == "P" else "RGBA")
    plain = (
        upright.convert(mode) if mode != "I;16" else Image.fromarray(noise(20, 30, kind=np.uint16))
    )
    turned = odd_files.lay(np.arange(600).reshape(20, 30), orientation)
    places = [divmod(int(k), 30)[::-1] for k in turned.flat]
    lying = plain.resize(turned.shape[::-1])
    lying.putdata([plain.getpixel(place) for place in places])
    for name, image, tag in (("a", plain, 1), ("b", lying, orientation)):
        image.save(tmp_path / f"{name}.tif", tiffinfo={0x0112: tag}, compression=compression)
    expected, got = read_image(tmp_path / "a.tif"), read_image(tmp_path / "b.tif")
    assert read_header(tmp_path / "b.tif").size_wh == (30, 20)
    for what in ("rgb", "alpha", "deep"):
        one, two = getattr(expected, what), getattr(got, what)
        assert np.array_equal(one, two) if one is not None else two is None


def test_what_is_learned_or_drawn_over_is_srgb(tmp_path: Path) -> None:
    swapped = SRGB.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    photo = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
    photo.putpixel((0, 0), (9, 9, 9, 0))
    for name, profile, color in (("a", swapped, (0, 255, 0)), ("b", b"broken", (255, 0, 0))):
        path = tmp_path / f"{name}.png"
        photo.save(path, icc_profile=profile)
        adapter = {"references": [str(path)]}
        (reference,) = references(load_settings("mini", {"generate.ip_adapter": adapter}))
        for seen in (reference, np.asarray(dataset_images.read(path))):
            assert np.abs(seen[1, 1].astype(int) - color).max() <= 2
            assert (seen[0, 0] == 255).all()
        assert tuple(read_image(path).rgb[1, 1]) == (255, 0, 0)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_16_bits_a_sample_come_back_with_all_that_stands_beside(
    tmp_path: Path, orientation: int, with_alpha: bool
) -> None:
    deep, alpha = noise(20, 30, 3, kind=np.uint16), noise(20, 30, kind=np.uint16)
    data = encode_png(
        odd_files.lay(deep, orientation),
        alpha=odd_files.lay(alpha, orientation) if with_alpha else None,
        icc_profile=SRGB,
        exif=camera_exif(orientation).tobytes(),
        text="a mug, Größe\nSteps: 2",
    )
    (tmp_path / "a.png").write_bytes(data)
    read = read_image(tmp_path / "a.png")
    assert read.deep is not None and np.array_equal(read.deep, deep)
    assert np.array_equal(read.rgb, np.rint(deep / 257).astype(np.uint8))
    if with_alpha:
        assert read.alpha is not None and np.array_equal(read.alpha, alpha)
    else:
        assert read.alpha is None
    assert read.icc_profile == SRGB and read.exif is not None and not read.notes
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["parameters"] == "a mug, Größe\nSteps: 2"


def test_16_bit_tiffs_of_both_byte_orders(tmp_path: Path) -> None:
    grey = noise(20, 30, kind=np.uint16)
    for name, kind in (("little.tif", "<u2"), ("big.tif", ">u2")):
        mode = "I;16" if kind == "<u2" else "I;16B"
        data = grey.astype(kind).tobytes()
        Image.frombytes(mode, (30, 20), data).save(tmp_path / name)
        read = read_image(tmp_path / name)
        assert read.deep is not None and np.array_equal(read.deep[..., 0], grey), name
    rgb = noise(20, 30, 3, kind=np.uint16)
    cv2.imwrite(str(tmp_path / "rgb.tif"), rgb[..., ::-1])
    read = read_image(tmp_path / "rgb.tif")
    assert read.deep is not None and np.array_equal(read.deep, rgb)


def test_deepen_keeps_samples_outside_and_scales_inside() -> None:
    deep = noise(4, 4, 3, kind=np.uint16)
    image = np.rint(deep / 257).astype(np.uint8)
    patch = noise(4, 4, 3)
    blend = np.zeros((4, 4), np.float32)
    blend[1:3, 1:3], blend[0, 0] = 1, 0.25
    out = composite.deepen(deep, image, composite.mix(image, patch, blend), blend)
    assert np.array_equal(out[blend == 0], deep[blend == 0])
    assert np.array_equal(out[1:3, 1:3], patch[1:3, 1:3].astype(np.uint16) * 257)
    exact = deep[0, 0] * 0.75 + patch[0, 0] * 257.0 * 0.25
    assert np.abs(out[0, 0] - exact).max() <= 129  # half a step of 8 bits: mix rounds to them
    same = composite.deepen(deep, image, image, blend * 0)
    assert np.array_equal(same, deep)


def test_a_16_bit_photo_goes_through_a_run_folder_as_16_bits(tmp_path: Path) -> None:
    deep = noise(8, 8, 3, kind=np.uint16)
    deep[..., 0] = 20_000
    deep[2:6, 2:6, 0] = 60_000
    (tmp_path / "a.png").write_bytes(encode_png(deep, alpha=noise(8, 8, kind=np.uint16)))
    folder = RunFolder(tmp_path / "run", request={}, settings={})
    stages = Stages(load=shots.load, detect=STAGES.detect)
    for shot in run_shots([photo("a", str(tmp_path / "a.png"))], stages):
        folder.record(shot)
    name = folder.done["a"].files.source
    assert (folder.path / name).read_bytes()[24] == 16
    kept = read_image(folder.path / name).deep
    assert kept is not None and np.array_equal(kept, deep)


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "PA", "RGBA"])
def test_no_colour_changes_on_the_way_in_and_out(tmp_path: Path, mode: str) -> None:
    source = Image.fromarray(noise(20, 30, 3)).convert("P" if mode == "PA" else mode)
    path = tmp_path / "a.png"
    if mode == "PA":
        source.save(path, transparency=bytes(range(256)))
    else:
        source.save(path)
    read = read_image(path)
    (tmp_path / "b.png").write_bytes(encode_png(read.rgb, alpha=read.alpha))
    with Image.open(path) as before, Image.open(tmp_path / "b.png") as after:
        shown, got = (np.asarray(i.convert("RGBA")) for i in (before, after))
    assert np.array_equal(shown, got)


def enhanced() -> Shot:
    image = np.zeros((40, 30, 3), np.uint8)
    source = FileInput("x.png", 65)
    prompts = ("ppzmini, red mug: large", "ppzmini, blue mug")
    shot = Shot("a", source, ("mug",), image=image, prompts=prompts, status="enhanced")
    return shot.with_metrics(strength=0.42)


@pytest.mark.parametrize("name", ["png", "jpeg"])
def test_the_record_of_a_photo_holds_its_name_whatever_its_bytes(tmp_path: Path, name: Any) -> None:
    """Photos whose names are not UTF-8 were re-rendered, and then could not be written."""
    output, photo_name = Format(name), os.fsdecode(b"caf\xe9.png")
    shot = replace(enhanced(), source=FileInput(photo_name, 65))
    record = provenance.record(shot, {"request": {"needs": ["detect"]}})
    path = tmp_path / f"a{output.ending}"
    xmp = provenance.xmp(shot, record)
    path.write_bytes(output.encode(np.zeros((8, 8, 3), np.uint8), lineage=record, xmp=xmp))
    assert provenance.read(path)["batch"][0]["photo"]["name"] == photo_name


def test_parameters_are_what_a1111_writes() -> None:
    settings = load_settings(
        "mini", {"rerender.negative_prompt": "blur", "rerender.sampler": "DPM++ 2M Karras"}
    )
    said = format_infotext(enhanced(), settings.model_dump(mode="json")).split("\n")
    assert said[0] == "ppzmini, red mug: large [SEP] ppzmini, blue mug"
    assert said[1] == "Negative prompt: blur"
    rest = f"Steps: {settings.rerender.steps}, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale"
    assert said[2].startswith(rest)
    for part in ("Seed: 65", "Size: 30x40", "Denoising strength: 0.42", "Version: visuals "):
        assert f", {part}" in said[2]
    plain = replace(enhanced(), status="kept")
    assert format_infotext(plain, settings.model_dump(mode="json")) == ""
    drawn = replace(plain, source=Prompted("a mug", "", 7))
    assert format_infotext(drawn, settings.model_dump(mode="json")).startswith("a mug\n")


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_jpeg_and_webp_carry_text_profile_and_exif(tmp_path: Path, name: str) -> None:
    rgb = np.full((20, 30, 3), 90, np.uint8)
    output = Format(name, 90)  # type: ignore[arg-type]
    path = tmp_path / f"a{output.ending}"
    exif = camera_exif().tobytes()
    path.write_bytes(output.encode(rgb, icc_profile=SRGB, exif=exif, text="a mug, Größe"))
    with Image.open(path) as image:
        assert image.format == name.upper() and image.info["icc_profile"] == SRGB
        comment = image.getexif().get_ifd(0x8769)[0x9286]
        assert image.getexif()[0x010F] == "a camera"
    assert comment == b"UNICODE\0" + "a mug, Größe".encode("utf-16-be")
    assert np.abs(read_image(path).rgb.astype(int) - rgb).max() <= 3


def test_formats_refuse_what_they_cannot_hold() -> None:
    half = np.full((4, 4), 128, np.uint8)
    rgb = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(EncodeError, match="jpeg cannot hold; set --format webp or png"):
        Format("jpeg").encode(rgb, alpha=half)
    assert Format("jpeg").encode(rgb, alpha=half | 255)[:2] == b"\xff\xd8"
    assert "at most 16383" in Format("webp").refusal((20_000, 10), None)
    assert Format("png").refusal((20_000, 10), half) == ""


@pytest.mark.filterwarnings("ignore")
def test_any_damage_is_a_picture_or_one_line(tmp_path: Path) -> None:
    odd_files.build(tmp_path / "odd", noise(24, 32, 3))
    dice = np.random.default_rng(5)
    outcomes: set[int | str] = set()
    for path in sorted((tmp_path / "odd").iterdir()):
        data = np.frombuffer(path.read_bytes(), np.uint8)
        if len(data) < 50 or len(path.name) > 200:
            continue
        for _ in range(8):
            hurt = data.copy()
            hurt[dice.integers(0, min(len(hurt), 300), 6)] = dice.integers(0, 256, 6)
            bad = tmp_path / f"bad{path.suffix}"
            bad.write_bytes(hurt.tobytes())
            try:
                outcomes.add(read_image(bad).rgb.ndim)
            except PictureError as error:
                outcomes.add("said")
                assert "\n" not in str(error)
    assert outcomes == {3, "said"}


def test_camera_and_place_stay_beside_the_parameters(tmp_path: Path) -> None:
    exif = camera_exif(6)
    exif.get_ifd(0x8769)[0x9003] = "2024:01:01 10:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(noise(20, 30, 3)).save(tmp_path / "a.jpg", exif=exif)
    read = read_image(tmp_path / "a.jpg")
    for name in ("png", "jpeg", "webp"):
        output = Format(name)  # type: ignore[arg-type]
        path = tmp_path / f"b{output.ending}"
        path.write_bytes(output.encode(read.rgb, exif=read.exif, text="a mug"))
        with Image.open(path) as image:
            table = image.getexif()
        assert table.get_ifd(0x8769)[0x9003] == "2024:01:01 10:00:00", name
        assert table.get_ifd(0x8825)[1] == "N" and 0x0112 not in table
