"""Registers a redrawn window to its source by what lies round the mask.

Works on the strength of edges, which a change of colour and light leaves where they are.
"""

from __future__ import annotations

import cv2
import numpy as np

_SIDE = 512
"""Longest side, in pixels, at which it measures."""
_BAND = 8
"""Pixels of that size inside the mask that count too: on a plain background the product's outline
is all there is."""
_LEAST_CORRELATION = 0.6
"""Of the edges round the mask: below it, nothing says where the window belongs."""
FARTHEST = 1 / 64
"""The largest displacement that is corrected, as a share of the window's longer side."""
_NEAREST = 0.25
"""The smallest one, in pixels: below it, resampling would cost more than it gains."""


def register(
    drawn: np.ndarray, source: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, float | None]:
    """Lay a redrawn window over its source.

    Corrects shifts, zooms and turns of at most a few pixels; what moved farther stays as it is.

    Args:
        drawn: uint8 (h, w, 3).
        source: the same.
        mask: bool (h, w), True where the two may differ.

    Returns:
        The window, and the pixels by which its farthest corner is off: 0 where the window lies
        over its source, None where its surroundings are not those of the source.
    """
    warp = _displacement(drawn, source, mask)
    if warp is None:
        return drawn, None
    height, width = mask.shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float32)
    moved = float(np.linalg.norm(corners @ warp.T - corners[:, :2], axis=1).max())
    if moved <= _NEAREST:
        return drawn, 0.0
    if moved > FARTHEST * max(width, height):
        return drawn, moved
    how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(drawn, warp, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return laid, 0.0


def _displacement(drawn: np.ndarray, source: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """The affine map, float32 (2, 3), from the source's pixels to those of `drawn`, by ECC
    (Evangelidis and Psarakis 2008): a shift first, from which it goes on."""
    scale = min(1.0, _SIDE / max(mask.shape))
    size = round(mask.shape[1] * scale), round(mask.shape[0] * scale)
    small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    inner = cv2.erode(small, np.ones((3, 3), np.uint8), iterations=_BAND)
    outside = np.where(inner > 0, 0, 255).astype(np.uint8)
    old, new = (_edges(cv2.resize(x, size, interpolation=cv2.INTER_AREA)) for x in (source, drawn))
    until = cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-4
    warp: np.ndarray = np.eye(2, 3, dtype=np.float32)
    try:
        for kind in (cv2.MOTION_TRANSLATION, cv2.MOTION_AFFINE):
            alike, warp = cv2.findTransformECC(old, new, warp, kind, until, outside, 5)
    except cv2.error:  # it does not converge: flat, or another picture
        return None
    if not alike >= _LEAST_CORRELATION:
        return None
    warp[:, 2] /= scale
    return np.asarray(warp, np.float32)


def _edges(picture: np.ndarray) -> np.ndarray:
    """Strength of the edges, float32 (h, w)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    soft = cv2.GaussianBlur(grey, (0, 0), 1.5)
    return np.hypot(cv2.Sobel(soft, -1, 1, 0), cv2.Sobel(soft, -1, 0, 1))
