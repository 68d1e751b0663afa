"""16-bit pictures, which Pillow opens as 8-bit: read and written by OpenCV, as upright RGB."""

from __future__ import annotations

from typing import Any

import numpy as np

_BITS_PER_SAMPLE = 258
_EIGHT = np.rint(np.arange(65536) / 257).astype(np.uint8)


def to_uint8(deep: np.ndarray) -> np.ndarray:
    """Convert uint16 to uint8, rounded: 65535 becomes 255."""
    return _EIGHT[deep]


def bits(image: Any, head: bytes) -> int:
    """Return the bits a sample of an opened image; `head`: the first 32 bytes of its file."""
    if image.format == "PNG":
        return head[24]
    if image.format == "TIFF":
        stored = image.tag_v2.get(_BITS_PER_SAMPLE, (8,))
        return int(max(stored if isinstance(stored, tuple) else (stored,)))
    return 16 if image.mode.startswith("I;16") else 8


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
        raw = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if raw is None or raw.dtype != np.uint16:
        return None
    if raw.ndim == 2:
        raw = np.repeat(raw[..., None], 3, axis=2)
    for pixels in (raw, turned(raw, orientation)):
        rgb = pixels[..., 2::-1]
        if rgb.shape == shown.shape and np.array_equal(
            np.right_shift(rgb, 8, dtype=np.uint16), shown
        ):
            alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
            return np.ascontiguousarray(rgb), None if alpha is None else alpha.copy()
    return None


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
