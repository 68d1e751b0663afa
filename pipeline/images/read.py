"""Pictures in: files to RGB arrays with what stands beside them; and bytes to files.

Knows no models and no runs. EXIF orientation is applied when reading; alpha, ICC profile,
EXIF and 16-bit samples are kept beside the pixels. Bad files raise PictureError.
"""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...configs.errors import UsageError
from . import color_profiles, sixteen_bit

ENDINGS = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff",
    ".avif", ".jxl",
)  # fmt: skip
MAX_PIXELS = 100_000_000
"""More than any camera takes; a picture that claims more is refused before it is decoded."""
_ORIENTATION = 0x0112
_TIFF_LAYOUT = (
    *range(254, 267), 273, 277, 278, 279, 284, 317, 318, 319, *range(320, 326), 330, 338, 339, 347,
    *range(529, 533), 700, 33723, 34377, 34675,
)  # fmt: skip
"""Tags that say how a TIFF lies in its file, or that are kept elsewhere: no EXIF."""


class PictureError(UsageError):
    """A file that cannot be read as a picture; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Picture:
    """`rgb`: uint8 (H, W, 3), upright; `alpha`: (H, W) or None; raw ICC and EXIF.

    `deep`: the samples of a 16-bit file, uint16 (H, W, 3), of which `rgb` is the rounded eighth
    bit, else None; alpha is uint16 with it, else uint8. `notes`: what a user should know.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    deep: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageHeader:
    """What a file says of itself before its pixels are decoded; the size is upright."""

    size_wh: tuple[int, int]
    format: str
    mode: str


def read_header(path: str | Path) -> ImageHeader:
    """Size and kind of a picture file, without its pixels; raises PictureError."""
    return _opened(Path(path), lambda image, head: _header(image))


def read_texts(path: str | Path) -> dict[str, str]:
    """The texts that stand in a picture file beside its pixels, by name; `xmp` is the packet.

    Raises PictureError.
    """

    def found(image: Any, head: bytes) -> dict[str, str]:
        out = {str(k): v for k, v in image.info.items() if isinstance(v, str)}
        packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or ""
        text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
        return {**out, "xmp": text}

    texts: dict[str, str] = _opened(Path(path), found)
    return texts


def read_image(path: str | Path) -> Picture:
    """Decode a picture file; raises PictureError in one line, whatever is wrong with it.

    The first frame or page is taken; inks and greys with a profile become sRGB.
    """
    return _opened(Path(path), lambda image, head: _decoded(image, head, Path(path)))


def _opened(path: Path, work: Any) -> Any:
    from PIL import Image, UnidentifiedImageError

    shown = printable(path)
    try:
        if path.is_dir():
            raise PictureError(f"{shown}: a folder; expected a picture file")
        if path.stat().st_size == 0:
            raise PictureError(f"{shown}: 0 bytes; expected a picture; copy the file again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                _check_size(image.size, shown)
                with path.open("rb") as file:
                    head = file.read(32)
                return work(image, head)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(
            f"{shown}: not a picture that can be read; expected {', '.join(ENDINGS)}"
        ) from None
    except FileNotFoundError:
        raise PictureError(f"{shown}: no such file; check the path") from None
    except PermissionError:
        raise PictureError(f"{shown}: not readable; allow reading it (chmod u+r)") from None
    except Image.DecompressionBombError as error:
        claimed = re.search(r"\d+", str(error))
        _check_size((int(claimed[0]) if claimed else 2 * MAX_PIXELS, 1), shown)
        raise
    except Exception as error:  # decoders raise whatever they like: one file, one line
        what = " ".join(str(error).replace(str(path), "").split()) or type(error).__name__
        raise PictureError(
            f"{shown}: damaged or truncated ({what}); expected a whole picture; copy it again"
        ) from None


def _check_size(size_wh: tuple[int, int], shown: str) -> None:
    width, height = size_wh
    if width * height > MAX_PIXELS:
        size = f"{width} × {height}" if height > 1 else f"{width / 1e6:,.0f} million"
        raise PictureError(
            f"{shown}: {size} pixels; expected at most "
            f"{MAX_PIXELS // 1_000_000} million; scale it down"
        )


def _header(image: Any) -> ImageHeader:
    width, height = image.size
    # Pillow turns a TIFF's size itself, and to ask a PNG for EXIF it lacks decodes it all.
    asked = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
    if asked and _orientation(image) in (5, 6, 7, 8):
        width, height = height, width
    return ImageHeader((width, height), image.format, image.mode)


def _decoded(image: Any, head: bytes, path: Path) -> Picture:
    notes = _frames(image)
    is_deep = sixteen_bit.bits(image, head) == 16
    first, exif = 1, None
    if image.format == "TIFF":  # loading closes the file and turns the pixels
        first, exif = _orientation(image), _exif(image, notes)
    image.load()
    orientation = _orientation(image)
    if image.format != "TIFF":
        first, exif = orientation, _exif(image, notes)
    alpha = sixteen_bit.turned(_alpha(image), orientation) if _has_alpha(image) else None
    if image.mode.startswith("I"):
        if not is_deep:
            raise PictureError(
                f"{printable(path)}: 32 bits a sample; expected 8 or 16; save it with 16"
            )
        grey = sixteen_bit.turned(np.asarray(image).astype(np.uint16), orientation)
        samples = np.repeat(grey[..., None], 3, axis=2)
        icc = color_profiles.for_rgb(image.info.get("icc_profile"), notes)
        clear = image.info.get("transparency")
        alpha = None if clear is None else np.where(grey == clear, 0, 65535).astype(np.uint16)
        return Picture(sixteen_bit.to_uint8(samples), alpha, icc, exif, samples, tuple(notes))
    if image.mode == "F":
        raise PictureError(
            f"{printable(path)}: samples in floating point; expected 8 or 16 bits; save it so"
        )
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
        notes.append("16 bits a sample of a kind that is read as 8")
    alpha = None if alpha is None else alpha.copy()
    return Picture(rgb, alpha, icc, exif, None, tuple(notes))


def _frames(image: Any) -> list[str]:
    count = getattr(image, "n_frames", 1)
    if count < 2:
        return []
    what = {"TIFF": "pages", "MPO": "pictures"}.get(image.format, "frames")
    return [f"{count} {what}: the first is taken"]


def _orientation(image: Any) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1


def _exif(image: Any, notes: list[str]) -> bytes | None:
    """The EXIF without orientation and without what describes the file's layout."""
    try:
        table = image.getexif()
        if not len(table):
            return None
        kept = type(table)()
        kept.load(table.tobytes())
        kept.pop(_ORIENTATION, None)
        for tag in _TIFF_LAYOUT if image.format == "TIFF" else ():
            kept.pop(tag, None)
        return kept.tobytes() if len(kept) else None
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        notes.append("EXIF that cannot be read: left out")
        return None


def _has_alpha(image: Any) -> bool:
    return bool(image.has_transparency_data) and not image.mode.startswith("I")


def _alpha(image: Any) -> np.ndarray:
    return np.asarray(image.convert("RGBA"))[..., 3]


def printable(path: str | Path) -> str:
    """A path for a message: control characters and what is not UTF-8 as escapes."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
