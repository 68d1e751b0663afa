"""16-bit pictures, which Pillow opens as 8-bit: read and written by OpenCV, as upright RGB."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np

_BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _SAMPLE_FORMAT = 258, 262, 277, 284, 339
"""Tags of a TIFF: bits a sample, what 0 means, samples a pixel, planes, type of a sample."""
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TYPES = {2: "signed integers", 3: "floating point", 5: "complex integers", 6: "complex numbers"}


def to_uint8(deep: np.ndarray) -> np.ndarray:
    """Convert uint16 to uint8, rounded: 65535 becomes 255."""
    import cv2

    return cv2.convertScaleAbs(deep, alpha=1 / 257).reshape(deep.shape)


def bits(image: Any, head: bytes) -> int:
    """Return the bits a sample of an opened image; `head`: the first 32 bytes of its file."""
    if image.format == "PNG":
        return head[24]
    return _tiff_bits(image.tag_v2) if image.format == "TIFF" else 8


def _tiff_bits(tags: Any) -> int:
    return int(max(np.ravel(tags.get(_BITS, 1))))


def tiff_refusal(path: Path) -> str:
    """Return why the samples of a TIFF cannot be read as they are meant, or "".

    Pillow and OpenCV misread such files, or call them no pictures.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    with path.open("rb") as file:
        head = file.read(8)
        tags = ImageFileDirectory_v2(head + file.read(8) if 43 in head[2:4] else head)
        file.seek(tags.next)
        tags.load(file)
    number = _tiff_bits(tags)
    kinds = set(np.ravel(tags.get(_SAMPLE_FORMAT, 1)).tolist()) & set(_TYPES)
    if kinds:
        return f"samples of {number} bits, {_TYPES[max(kinds)]}"
    if number not in (1, 2, 4, 8, 12, 16):
        return f"{number} bits a sample"
    samples, separate = tags.get(_SAMPLES, 1), tags.get(_PLANES) == 2
    if number > 8 and (samples == 2 or (samples > 1 and separate)):
        return f"{samples} samples of {number} bits" + " in separate planes" * separate
    return ""


def grey(image: Any) -> np.ndarray:
    """Return the samples of an opened grey image of 12 or 16 bits, scaled to 16: uint16 (H, W)."""
    samples: np.ndarray = np.asarray(image).astype(np.uint16)
    if image.format != "TIFF":
        return samples
    if _tiff_bits(image.tag_v2) == 12:
        samples = samples << 4 | samples >> 8
    return 65535 - samples if image.tag_v2.get(_PHOTOMETRIC) == 0 else samples


@functools.cache
def silence_libtiff() -> None:
    """Turn off what libtiff prints about a file without its name, in Pillow and in OpenCV."""
    import cv2
    from PIL import _imaging

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    with contextlib.suppress(AttributeError, OSError):  # a build of Pillow without libtiff
        pillow = ctypes.CDLL(_imaging.__file__)
        pillow.TIFFSetErrorHandler(None)
        pillow.TIFFSetWarningHandler(None)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply EXIF's orientation, 1 to 8, to pixels (H, W, …)."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def decode(
    data: bytes, shown: np.ndarray, orientation: int
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Decode a file's bytes to upright samples: uint16 (H, W, 3), and alpha (H, W) or None.

    `shown` is Pillow's upright result, uint8 (H, W, 3): the upper bytes of the samples. Returns
    None if OpenCV's samples differ from it (it turns some TIFFs by itself) or if it cannot read
    the format.
    """
    import cv2

    try:
        raw = cv2.imdecode(np.frombuffer(_bare_png(data), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        return None
    if raw is None or raw.dtype != np.uint16:
        return None
    if raw.ndim == 2:
        raw = cv2.cvtColor(raw, cv2.COLOR_GRAY2RGB)
    else:  # in place: a large picture may take half of the memory
        order = cv2.COLOR_BGRA2RGBA if raw.shape[2] == 4 else cv2.COLOR_BGR2RGB
        raw = cv2.cvtColor(raw, order, dst=raw)
    for pixels in (raw, turned(raw, orientation)):
        rgb = pixels[..., :3]
        if rgb.shape == shown.shape and all(
            np.array_equal(deep >> 8, upper) for deep, upper in zip(rgb, shown, strict=True)
        ):
            alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
            return np.ascontiguousarray(rgb), None if alpha is None else alpha.copy()
    return None


def _bare_png(data: bytes) -> bytes:
    """The chunks of a PNG that make its pixels; of the others, libpng prints warnings without the
    file's name. Other formats as they are."""
    if not data.startswith(b"\x89PNG"):
        return data
    kept, start = [data[:8]], 8
    while start < len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if data[start + 4 : start + 8] in (b"IHDR", b"PLTE", b"tRNS", b"IDAT"):
            kept.append(data[start:end])
        start = end
    return b"".join([*kept, b"\0\0\0\0IEND\xaeB`\x82"])


def png(pixels: np.ndarray, alpha: np.ndarray | None) -> bytes:
    """Encode RGB (H, W, 3) or grey (H, W), uint16 or uint8, and alpha (H, W) as a PNG.

    With OpenCV's default compression: a quarter of the time of Pillow's level 4, files 4 % smaller
    to 14 % larger.
    """
    import cv2

    bgr = np.ascontiguousarray(pixels)
    if pixels.ndim == 3:
        bgr = cv2.cvtColor(bgr, cv2.COLOR_RGB2BGR)
    if alpha is not None:
        bgr = np.concatenate([bgr, alpha[..., None]], axis=2)
    done, data = cv2.imencode(".png", bgr)
    if not done:
        raise ValueError(f"OpenCV cannot write a picture of {pixels.shape}")
    return bytes(data)
