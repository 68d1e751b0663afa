"""Sample types, layouts and formats: read with the right values, or refused by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from visuals.pipeline.images.read import FORMATS, PictureError, read_header, read_image
from visuals.pipeline.images.write import encode_png
from visuals.training.datasets import images as dataset_images

RAMP = np.linspace(0, 1, 20 * 30).reshape(20, 30)
GREY = {"photometric": "minisblack"}
INVERTED = {"photometric": "miniswhite"}
RGB = {"photometric": "rgb"}
READ: tuple[tuple[str, dict[str, Any]], ...] = (
    *((kind, options) for kind in ("u1", "u2") for options in (GREY, INVERTED, RGB)),
    ("u1", {**RGB, "planarconfig": "separate"}),
)
REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("f2", GREY, "16 bits, floating point"),
    ("f4", GREY, "32 bits, floating point"),
    ("f4", RGB, "32 bits, floating point"),
    ("f8", GREY, "64 bits, floating point"),
    ("u4", GREY, "32 bits a sample"),
    ("u4", RGB, "32 bits a sample"),
    ("i1", GREY, "8 bits, signed integers"),
    ("i2", GREY, "16 bits, signed integers"),
    ("i4", GREY, "32 bits, signed integers"),
    ("u2", {**RGB, "planarconfig": "separate"}, "3 samples of 16 bits in separate planes"),
    ("u2", {**GREY, "extrasamples": ["unassalpha"]}, "2 samples of 16 bits"),
)


def write_tiff(path: Path, kind: str, options: dict[str, Any], byte_order: str = "<") -> None:
    """The ramp as a TIFF whose samples have a NumPy type."""
    info = np.iinfo(kind) if kind[0] != "f" else np.finfo(kind)
    low, high = (0, 1) if kind[0] == "f" else (int(info.min), int(info.max))
    values = (low + RAMP * (high - low)).astype(kind)
    if options is INVERTED:
        values = high - values
    channels = 3 if options["photometric"] == "rgb" else 2 if "extrasamples" in options else 1
    if channels > 1:
        axis = 0 if options.get("planarconfig") == "separate" else -1
        values = np.stack([values] * channels, axis)
    tifffile.imwrite(path, values, byteorder=byte_order, **options)


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize(("kind", "options"), READ)
def test_a_tiff_that_is_read_has_its_values(
    tmp_path: Path, kind: str, options: dict[str, Any], byte_order: str
) -> None:
    write_tiff(tmp_path / "a.tif", kind, options, byte_order)
    if (kind, options, byte_order) == ("u2", INVERTED, ">"):
        with pytest.raises(PictureError, match=r"a\.tif: a TIFF of an unusual layout"):
            read_image(tmp_path / "a.tif")
        return
    picture = read_image(tmp_path / "a.tif")
    assert np.abs(picture.rgb - 255 * RAMP[..., None]).max() <= 1
    assert (picture.deep is not None) == (kind == "u2")
    if picture.deep is not None:
        assert np.abs(picture.deep - 65535 * RAMP[..., None]).max() <= 1
    learned = np.asarray(dataset_images.read(tmp_path / "a.tif"))
    assert np.array_equal(learned, picture.rgb)


@pytest.mark.parametrize(("kind", "options", "said"), REFUSED)
def test_a_tiff_that_is_not_read_is_refused_with_its_samples(
    tmp_path: Path, kind: str, options: dict[str, Any], said: str
) -> None:
    write_tiff(tmp_path / "a.tif", kind, options)
    for read in (read_image, read_header, dataset_images.read):
        with pytest.raises(PictureError, match=rf"a\.tif: .*{said}; expected 8 or 16 bits"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
def test_fewer_bits_than_8_and_12_bits_are_scaled(tmp_path: Path, bits: int) -> None:
    values = np.arange(2**bits).repeat(max(1, 256 >> bits))
    row = "".join(f"{v:0{bits}b}" for v in values)
    packed = int(row, 2).to_bytes(len(row) // 8, "big")
    tifffile.imwrite(
        tmp_path / "a.tif",
        iter([packed]),
        shape=(1, len(values)),
        dtype=np.uint16 if bits > 8 else np.uint8,
        bitspersample=bits,
        photometric="minisblack",
    )
    rgb = read_image(tmp_path / "a.tif").rgb
    assert np.abs(rgb[0, :, 0] - 255 * values / (2**bits - 1)).max() <= 0.5


def test_no_decoder_prints_what_it_thinks_of_a_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.tif", compression="tiff_adobe_deflate")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[200:400] = bytes(200)
    (tmp_path / "a.tif").write_bytes(data)
    tags = [(65000, "s", 0, "of a camera", True)]
    tifffile.imwrite(tmp_path / "b.tif", noise.astype(np.uint16) * 257, extratags=tags, **RGB)
    deep = encode_png(np.full((4, 4, 3), 99, np.uint16), icc_profile=b"no profile")
    (tmp_path / "c.png").write_bytes(deep)
    code = (
        "from visuals.pipeline.images.read import read_image\n"
        "read_image('b.tif')\n"
        "read_image('c.png')\n"
        "try: read_image('a.tif')\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.startswith("a.tif: damaged") and done.stderr == ""


def test_a_format_is_known_by_content_and_only_the_documented_ones_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    Image.init()
    monkeypatch.setattr(Image, "EXTENSION", dict(Image.EXTENSION))  # SPIDER writes into it
    opened, refused = set(), set()
    for name in set(Image.SAVE) & set(Image.OPEN):
        path = tmp_path / ("a.jpg" if name == "PNG" else "a.png")
        for mode in ("RGB", "L", "1", "P"):
            try:
                Image.new(mode, (32, 32), 0).save(path, name)
                break
            except (OSError, ValueError, KeyError):
                continue
        else:
            continue
        try:
            read_image(path)
            opened.add(name)
        except PictureError as error:
            assert "not a picture that can be read; expected PNG, JPEG" in str(error)
            refused.add(name)
    assert opened == set(FORMATS) - {"JXL"}
    assert {"EPS", "TGA", "ICO", "PPM", "JPEG2000", "PCX"} <= refused
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("ending", "mode"),
    [
        *(("png", mode) for mode in ("RGBA", "LA", "P")),
        *(("tif", mode) for mode in ("RGBA", "LA")),
        *((ending, "RGBA") for ending in ("webp", "avif", "gif")),
    ],
)
def test_transparency_of_every_format_is_seen_on_white(
    tmp_path: Path, mode: str, ending: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 4), np.uint8)
    noise[:4, :, 3] = 0
    image = Image.fromarray(noise)
    path = tmp_path / f"a.{ending}"
    (image.quantize(64) if mode == "P" else image.convert(mode)).save(path)
    with Image.open(path) as opened:
        shown = opened.convert("RGBA")
    white = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    picture = read_image(path)
    assert picture.alpha is not None
    assert np.abs(picture.on_white.astype(int) - np.asarray(white)).max() <= 1
    assert np.array_equal(np.asarray(dataset_images.read(path)), picture.on_white)
