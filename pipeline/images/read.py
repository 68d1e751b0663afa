"""Reads picture files as upright RGB arrays, with alpha, ICC profile, EXIF and 16-bit samples.

Whatever is wrong with a file raises PictureError.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...configs.errors import UsageError, one_line
from ...stages.accel import memory
from ...stages.shot import on_white
from . import color_profiles, exif_block, sixteen_bit

FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "JXL": (".jxl",),
}
"""The formats that are read, by Pillow's names, and their endings; JXL where a plugin of Pillow is
imported. A file is opened by its content, whatever its ending."""
ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)
_BYTES_A_PIXEL = {False: 20, True: 36}
"""Memory that decoding takes at its peak, measured, with a margin; True: of 12 and 16 bits."""
MAX_PIXELS = 100_000_000
"""More than any camera takes; a picture with more is refused before it is decoded."""
_MAX_TEXT = 32 << 20
"""Bytes of a text entry of a PNG, decompressed."""
_TIFF_LAYOUT = (
    *range(254, 267), 273, 277, 278, 279, 284, 317, 318, 319, *range(320, 326), 330, 338, 339, 347,
    *range(529, 533), 700, 33723, 34377, 34675, exif_block.ORIENTATION,
)  # fmt: skip
"""Tags of a TIFF that describe its layout or are kept elsewhere; they are no EXIF."""


T = TypeVar("T")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # it would print without a file's name


class PictureError(UsageError):
    """A file cannot be read as a picture."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        rgb: uint8 (H, W, 3), upright.
        alpha: (H, W), uint16 if `deep` is there, else uint8; None if opaque.
        icc_profile: Raw profile of `rgb`.
        exif: Raw EXIF without the orientation.
        deep: uint16 (H, W, 3), the samples of a 16-bit file, of which `rgb` is rounded.
        notes: What was left out or converted.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    deep: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def on_white(self) -> np.ndarray:
        """`rgb` on white where it is transparent: what models and people are to see."""
        return on_white(self.rgb, self.alpha)

    @property
    def srgb_on_white(self) -> np.ndarray:
        """`on_white`, converted to sRGB by the profile: what is learned, or drawn over."""
        from PIL import Image

        shown, image = self.on_white, None
        if self.icc_profile:
            image = color_profiles.to_srgb(Image.fromarray(shown), self.icc_profile, [])
        return shown if image is None else np.asarray(image)


@dataclass(frozen=True)
class ImageHeader:
    """Size (upright), format and Pillow mode of a file, read without its pixels."""

    size_wh: tuple[int, int]
    format: str
    mode: str


def read_header(path: str | Path) -> ImageHeader:
    """Read the header of a picture file; raises PictureError."""
    return _opened(Path(path), lambda image, head: _header(image))


def read_texts(path: str | Path) -> dict[str, str]:
    """Read the text entries of a picture file by name, the XMP packet as `xmp`, EXIF's UserComment
    or a GIF's comment as `parameters`; raises PictureError."""

    def texts(image: Any, head: bytes) -> dict[str, str]:
        out = {str(k): v for k, v in image.info.items() if isinstance(v, str)}
        packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or ""
        text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
        return {"parameters": _comment(image, Path(path)), **out, "xmp": text}

    return _opened(Path(path), texts)


def read_image(path: str | Path) -> Picture:
    """Decode a picture file; raises PictureError.

    Only the first frame or page is read; CMYK and grey with a profile become sRGB.
    """
    return _opened(Path(path), lambda image, head: _decoded(image, head, Path(path)))


def _opened(path: Path, work: Callable[[Any, bytes], T]) -> T:
    """Return `work` of the opened image and the first 32 bytes of its file."""
    from PIL import Image, PngImagePlugin, UnidentifiedImageError

    # Pillow's own limit of 1 MB refuses pictures with workflows and histories of editors.
    PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, _MAX_TEXT)
    shown = printable(path)
    try:
        _check_file(path, shown)
        with path.open("rb") as file:
            head = file.read(32)
        formats = [name for name in FORMATS if name != "JXL" or name in Image.OPEN]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if head[:4] in sixteen_bit.TIFF_HEADS and (found := sixteen_bit.tiff_refusal(path)):
                expected = "expected 8 or 16 bits a sample, unsigned"
                raise PictureError(f"{shown}: {found}; {expected}; save it so")
            with Image.open(path, formats=formats) as image:
                _check_size(image.size, shown)
                return work(image, head)
    except PictureError:
        raise
    except UnidentifiedImageError:
        what, expected = "not a picture that can be read", ", ".join(FORMATS)
        if head[:4] in sixteen_bit.TIFF_HEADS:
            what, expected = "a TIFF of an unusual layout", "grey, RGB or CMYK of 8 or 16 bits"
        raise PictureError(f"{shown}: {what}; expected {expected}; save it so") from None
    except FileNotFoundError:
        raise PictureError(f"{shown}: no such file; check the path") from None
    except PermissionError:
        raise PictureError(f"{shown}: permission denied; allow reading it (chmod u+r)") from None
    except Image.DecompressionBombError as error:
        claimed = re.search(r"\d+", str(error))
        _check_size((int(claimed[0]) if claimed else 2 * MAX_PIXELS, 1), shown)
        raise
    except Exception as error:  # decoders raise errors of any type
        what = one_line(error).replace(str(path), "").strip() or type(error).__name__
        if isinstance(error, MemoryError) or "of memory" in what or "nsufficient memory" in what:
            text = "too little memory to read it; close other programs or scale it down"
        elif isinstance(error, OSError) and error.errno:  # of the system, not of a decoder
            text = f"cannot be read ({error.strerror}); check its path and the disk"
        else:
            text = f"damaged or truncated ({what}); expected a whole picture; copy it again"
        raise PictureError(f"{shown}: {text}") from None


def _check_file(path: Path, shown: str) -> None:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        os.scandir(path).close()  # one that cannot be read raises OSError
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise PictureError(f"{shown}: {what}; expected a picture file")
    if status.st_size == 0:
        raise PictureError(f"{shown}: 0 bytes; expected a picture; copy the file again")


def _check_size(size_wh: tuple[int, int], shown: str) -> None:
    width, height = size_wh
    if width * height > MAX_PIXELS:
        size = f"{width} × {height}" if height > 1 else f"{width / 1e6:,.0f} million"
        raise PictureError(
            f"{shown}: {size} pixels; expected at most "
            f"{MAX_PIXELS // 1_000_000} million; scale it down"
        )


def _check_memory(size_wh: tuple[int, int], bytes_a_pixel: int, shown: str) -> None:
    needed, (_, free) = size_wh[0] * size_wh[1] * bytes_a_pixel, memory.main_memory()
    if needed > free:
        raise PictureError(
            f"{shown}: {size_wh[0]} × {size_wh[1]} pixels take {needed / 2**30:.1f} GiB to decode, "
            f"{free / 2**30:.1f} GiB are free; close other programs or scale it down"
        )


def _header(image: Any) -> ImageHeader:
    width, height = image.size
    # Pillow turns a TIFF's size itself, and decodes all of a PNG to look for EXIF that it lacks.
    has_exif = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
    if has_exif and _orientation(image) in (5, 6, 7, 8):
        width, height = height, width
    return ImageHeader((width, height), image.format, image.mode)


def _decoded(image: Any, head: bytes, path: Path) -> Picture:
    notes = []
    if (count := getattr(image, "n_frames", 1)) > 1:
        what = {"TIFF": "pages", "MPO": "pictures"}.get(image.format, "frames")
        notes.append(f"{count} {what}: only the first is used")
    is_deep = sixteen_bit.bits(image, head) > 8
    _check_memory(image.size, _BYTES_A_PIXEL[is_deep], printable(path))
    first, exif = 1, None
    if image.format == "TIFF":  # loading closes the file and turns the pixels
        first, exif = _orientation(image), _raw_exif(image, path, notes)
        image.filename = ""  # Pillow 12 maps uncompressed files with width and height exchanged
        sixteen_bit.silence_libtiff()
    image.load()
    orientation = _orientation(image)
    if image.format != "TIFF":
        first, exif = orientation, _raw_exif(image, path, notes)
    alpha = None
    if image.has_transparency_data and not image.mode.startswith("I"):
        alpha = sixteen_bit.turned(np.asarray(image.convert("RGBA"))[..., 3], orientation).copy()
    if image.mode.startswith("I"):
        grey = sixteen_bit.turned(sixteen_bit.grey(image), orientation)
        samples = np.repeat(grey[..., None], 3, axis=2)
        icc = color_profiles.for_rgb(image.info.get("icc_profile"), notes)
        clear = image.info.get("transparency")
        alpha = None if clear is None else np.where(grey == clear, 0, 65535).astype(np.uint16)
        return Picture(sixteen_bit.to_uint8(samples), alpha, icc, exif, samples, tuple(notes))
    upright, icc = color_profiles.to_rgb(image, notes)
    rgb = sixteen_bit.turned(np.asarray(upright), orientation).copy()
    if is_deep:
        found = sixteen_bit.decode(path.read_bytes(), rgb, first)
        if found is not None:
            icc = color_profiles.for_rgb(icc, notes)
            samples, alpha16 = found
            clear = image.info.get("transparency")
            if alpha16 is None and isinstance(clear, tuple):
                alpha16 = np.where((samples == clear).all(-1), 0, 65535).astype(np.uint16)
            return Picture(sixteen_bit.to_uint8(samples), alpha16, icc, exif, samples, tuple(notes))
        notes.append("16 bits a sample in a layout that is read as 8 bits")
    return Picture(rgb, alpha, icc, exif, None, tuple(notes))


def _orientation(image: Any) -> int:
    try:
        return int(image.getexif().get(exif_block.ORIENTATION, 1))
    except (SyntaxError, TypeError, *exif_block.ERRORS):
        return 1


def _exif(image: Any, path: Path) -> exif_block.Exif | None:
    """The EXIF without the orientation and, of a TIFF, the tags that describe the file's layout.

    Raises one of exif_block.ERRORS.
    """
    if image.format == "TIFF":
        with path.open("rb") as file:
            return exif_block.load(file, _TIFF_LAYOUT)
    hexadecimal = "".join(image.info.get("Raw profile type exif", "").split("\n")[3:])
    block = image.info.get("exif") or bytes.fromhex(hexadecimal)
    if not block:
        return None
    return exif_block.load(block, (exif_block.ORIENTATION, exif_block.SUB_FILES))


def _comment(image: Any, path: Path) -> str:
    """The comment of a file as far as it holds parameters."""
    comment = image.info.get("comment", b"")
    text = comment if isinstance(comment, str) else comment.decode("utf-8", "replace")
    with contextlib.suppress(*exif_block.ERRORS):
        found = _exif(image, path)
        text = (found and found.comment) or text
    return text if exif_block.PARAMETERS in text else ""


def _raw_exif(image: Any, path: Path, notes: list[str]) -> bytes | None:
    try:
        found = _exif(image, path)
    except exif_block.ERRORS:
        notes.append("EXIF that cannot be read: left out")
        return None
    if found and found.lost:
        tags = ", ".join(f"0x{tag:04X}" for tag in found.lost[:9])
        notes.append(f"EXIF tags that cannot be read ({tags}): left out")
    return found.block() if found and found.tags else None


def printable(path: str | Path) -> str:
    """Return a path for a message, with control and undecodable characters escaped."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
