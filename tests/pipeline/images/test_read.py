"""Reading and writing pictures: what stands beside the pixels is kept, bad files are said."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from visuals.checkpoints import atomic_files
from visuals.pipeline.images.masks import read_mask
from visuals.pipeline.images.read import PictureError, read_header, read_image
from visuals.pipeline.images.write import encode_png
from visuals.training.datasets import images as dataset_images


def gradient(height: int = 20, width: int = 30) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 8, columns * 6, rows + columns], axis=-1).astype(np.uint8)


def test_exif_orientation_is_applied_once(tmp_path: Path) -> None:
    image = Image.fromarray(gradient())
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    image.save(tmp_path / "a.png", exif=exif)
    read = read_image(tmp_path / "a.png")
    assert read.rgb.shape == (30, 20, 3)
    assert np.array_equal(read.rgb, np.rot90(gradient(), -1))
    (tmp_path / "b.png").write_bytes(encode_png(read.rgb, exif=read.exif))
    again = read_image(tmp_path / "b.png")
    assert np.array_equal(again.rgb, read.rgb)
    assert Image.open(tmp_path / "b.png").getexif()[0x010F] == "a camera"


def test_alpha_and_icc_profile_are_kept(tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    alpha = np.arange(600, dtype=np.uint16).reshape(20, 30).astype(np.uint8)
    data = encode_png(gradient(), alpha=alpha, icc_profile=profile)
    (tmp_path / "a.png").write_bytes(data)
    read = read_image(tmp_path / "a.png")
    assert read.alpha is not None and np.array_equal(read.alpha, alpha)
    assert read.icc_profile == profile
    assert np.array_equal(read.rgb, gradient())


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "I;16", "1", "LA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.tif" if mode in ("CMYK", "I;16") else tmp_path / "a.png"
    source = Image.new("I;16", (30, 20), 65535) if mode == "I;16" else None
    (source or Image.fromarray(gradient()).convert(mode)).save(path)
    rgb = read_image(path).rgb
    assert rgb.shape == (20, 30, 3) and rgb.dtype == np.uint8
    if mode == "I;16":
        assert (rgb == 255).all()


def test_bad_files_are_said_in_one_line(tmp_path: Path) -> None:
    whole = encode_png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    cases = {
        "empty.png": (b"", "0 bytes"),
        "text.jpg": (b"no picture at all", "not a picture"),
        "cut.png": (whole[: len(whole) // 2], "truncated"),
        "none.png": (None, "no such file"),
    }
    for name, (data, said) in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(PictureError) as caught:
            read_image(tmp_path / name)
        assert said in str(caught.value) and name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (400, 300)).save(tmp_path / "bomb.png")
    monkeypatch.setattr("visuals.pipeline.images.read.MAX_PIXELS", 100_000)
    with pytest.raises(PictureError, match="400 × 300 pixels"):
        read_image(tmp_path / "bomb.png")


def test_write_leaves_no_part_behind(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError):
        atomic_files.write(target, b"data")  # a folder cannot be replaced by a file
    atomic_files.write(tmp_path / "deep" / "a.bin", b"data")
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"data"
    assert not list(tmp_path.rglob("*.part"))


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe", "zero", "folder"):
        for read in (read_image, read_header, read_mask, dataset_images.read):
            with pytest.raises(PictureError, match=f"{name}.png: a .*; expected a picture file"):
                read(tmp_path / f"{name}.png")


GIF = b"GIF89a\x0f\x27\x0f\x27\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
"""One pixel on 9,999 × 9,999."""


def test_a_picture_that_the_memory_cannot_hold_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bomb.gif").write_bytes(GIF)
    deep = struct.pack(">IIBBBBB", 9999, 9999, 16, 2, 0, 0, 0)
    header = b"IHDR" + deep
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + b"5\xaf\x06\x1e"
    )
    memory = psutil.virtual_memory()
    for name, needed in (("bomb.gif", "1.9"), ("deep.png", "3.4")):
        assert read_header(tmp_path / name).size_wh == (9999, 9999)
        with monkeypatch.context() as low:
            low.setattr(psutil, "virtual_memory", lambda: memory._replace(available=2**30))
            said = f"{name}: 9999 × 9999 pixels take {needed} GiB to decode, 1.0 GiB are free"
            with pytest.raises(PictureError, match=said):
                read_image(tmp_path / name)


def test_memory_that_runs_out_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "bomb.gif").write_bytes(GIF)
    code = (
        "import resource, psutil\n"
        "from PIL import GifImagePlugin\n"
        "from visuals.pipeline.images.read import read_image\n"
        "import visuals.stages.shot\n"
        "most = psutil.Process().memory_info().vms + 2**27\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "try: read_image('bomb.gif')\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    expected = "bomb.gif: too little memory to read it; close other programs or scale it down\n"
    assert done.stdout == expected


def test_a_png_with_megabytes_of_text_is_read(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("workflow", "x" * 5_000_000, zip=True)
    info.add_itxt("history", "x" * 5_000_000, zip=True)
    Image.fromarray(gradient()).save(tmp_path / "a.png", pnginfo=info)
    assert np.array_equal(read_image(tmp_path / "a.png").rgb, gradient())
