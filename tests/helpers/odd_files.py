"""One of every bad or odd picture file, for tests: `build(folder, photo)` writes them all."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

LONG = "n" * 251
"""With its ending the longest name that a file may have."""
FAILED = {
    "cut_png": "truncated",
    "cut_jpg": "truncated",
    "cut_webp": "truncated",
    "empty": "0 bytes",
    "text": "not a picture",
    "bomb": "2,500 million pixels; expected at most 100 million",
}
"""Ids that fail, and what is said of each."""
NOTED = {
    "anim_gif": "3 frames: only the first is used",
    "anim_webp": "3 frames: only the first is used",
    "anim_png": "3 frames: only the first is used",
    "pages": "2 pages: only the first is used",
    "cmyk": "CMYK without a readable profile: converted to RGB by arithmetic",
    "inks": "CMYK converted to sRGB by its profile",
}
SAME = ("deep", "deep-alpha", "deep-tiff", "pages", "anim_png", "a_b", "🥿")
"""Ids that hold the photo's own pixels."""
NEAR = ("palette", "anim_gif", "anim_webp", "cmyk", *(f"turned-{k}" for k in range(1, 9)))
"""Ids that hold the photo but for what their format loses."""
TINY = ("dot", "long")
"""Ids of pictures in which nothing can be found."""


def build(folder: Path, photo: np.ndarray) -> None:
    """`photo`: uint8 (H, W, 3). Ids are as `folders.names` gives them."""
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(photo)
    _broken(folder, image)
    _deep(folder, photo)
    _frames(folder, image)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    image.convert("CMYK").save(folder / "inks.jpg", quality=95, icc_profile=cmyk_profile())
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        lying = Image.fromarray(np.ascontiguousarray(lay(photo, orientation)))
        lying.save(folder / f"turned-{orientation}.jpg", quality=95, exif=exif, subsampling=0)
    Image.new("RGB", (1, 1), "red").save(folder / "dot.png")
    Image.new("RGB", (20_000, 10), "red").save(folder / "long.png")
    image.save(folder / "a\nb.png")
    image.save(folder / "🥿.png")
    image.save(folder / f"{LONG}.png")
    if os.geteuid():
        image.save(folder / "locked.png")
        (folder / "locked.png").chmod(0)


def lay(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """An upright picture as a camera stores it under an EXIF orientation (the table of the EXIF
    specification: what the first row and the first column of the file show)."""
    return {
        1: pixels,
        2: np.fliplr(pixels),
        3: np.rot90(pixels, 2),
        4: np.flipud(pixels),
        5: np.swapaxes(pixels, 0, 1),
        6: np.rot90(pixels),
        7: np.rot90(np.swapaxes(pixels, 0, 1), 2),
        8: np.rot90(pixels, -1),
    }[orientation]


def deepened(photo: np.ndarray) -> np.ndarray:
    """uint16 samples whose lower bytes are noise: they are lost where 8 bits are kept."""
    noise = np.random.default_rng(7).integers(0, 128, photo.shape, dtype=np.uint16)
    return photo.astype(np.uint16) * 257 - (photo > 0) * noise


def ramp(height: int, width: int) -> np.ndarray:
    """Alpha uint16 (height, width) from three quarters to opaque, of every depth."""
    return np.linspace(49152, 65535, height * width).reshape(height, width).astype(np.uint16)


def cmyk_profile() -> bytes:
    """A press of four inks: an ICC v2 profile whose 2⁴ grid of Lab is plain multiplication."""
    lab = bytearray()
    for corner in range(16):
        c, m, y, k = ((corner >> bit) & 1 for bit in (3, 2, 1, 0))
        light = 0 if k else 255 - 60 * (c + m + y)
        lab += bytes((max(light, 0), 128 - 40 * c + 60 * m, 128 - 40 * c + 70 * y))
    line = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65536 * (k % 4 == 0)) for k in range(9))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + line * 4 + bytes(lab) + line * 3
    lut += b"\0" * (-len(lut) % 4)
    name = b"desc\0\0\0\0" + struct.pack(">I", 6) + b"press\0" + b"\0" * 78
    name += b"\0" * (-len(name) % 4)
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    tags, data, at = b"", b"", 128 + 4 + 3 * 12
    for sign, block in ((b"A2B0", lut), (b"desc", name), (b"wtpt", white)):
        tags += sign + struct.pack(">II", at + len(data), len(block))
        data += block
    head = struct.pack(
        ">I4sI4s4s4s", at + len(data), b"\0" * 4, 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    head += struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", 3) + tags + data


def _broken(folder: Path, image: Image.Image) -> None:
    for ending in ("png", "jpg", "webp"):
        image.save(folder / f"cut.{ending}")
        data = (folder / f"cut.{ending}").read_bytes()
        (folder / f"cut.{ending}").write_bytes(data[: len(data) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("Dear all, the photos follow.")
    claim = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", claim), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*c) for c in chunks))


def _deep(folder: Path, photo: np.ndarray) -> None:
    deep = deepened(photo)
    bgr = np.ascontiguousarray(deep[..., ::-1])
    alpha = ramp(*photo.shape[:2])[..., None]
    cv2.imwrite(str(folder / "deep.png"), bgr)
    cv2.imwrite(str(folder / "deep-alpha.png"), np.concatenate([bgr, alpha], axis=2))
    cv2.imwrite(str(folder / "deep-grey.png"), deep[..., 1])
    cv2.imwrite(str(folder / "deep-tiff.tif"), bgr)


def _frames(folder: Path, image: Image.Image) -> None:
    others = [Image.new("RGB", image.size, colour) for colour in ("blue", "lime")]
    image.save(folder / "anim.gif", save_all=True, append_images=others)
    image.save(folder / "anim.webp", save_all=True, append_images=others, quality=95)
    image.save(folder / "anim.png", save_all=True, append_images=others)
    image.save(folder / "pages.tif", save_all=True, append_images=others[:1])
    few = image.quantize(255, dither=Image.Dither.NONE)
    few.save(folder / "palette.png", transparency=few.getpixel((0, 0)))


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
