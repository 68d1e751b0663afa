"""Boxes: round a mask, padded into a picture, and their overlap. Pure geometry.

A box is x0, y0, x1, y1 in pixels, its end exclusive.
"""

from __future__ import annotations

import math

import numpy as np

from ..shot import Box

IntBox = tuple[int, int, int, int]


def mask_box(mask: np.ndarray) -> IntBox | None:
    """The smallest box round a mask (H, W), bool or weights above 0; None round an empty one.

    >>> mask_box(np.array([[False, True], [False, False]]))
    (1, 0, 2, 1)
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def grown(box: IntBox, margin: int, size_wh: tuple[int, int]) -> IntBox:
    """The box with `margin` pixels more on each side, as far as the picture goes."""
    width, height = size_wh
    x0, y0, x1, y1 = box
    return (
        max(0, x0 - margin),
        max(0, y0 - margin),
        min(width, x1 + margin),
        min(height, y1 + margin),
    )


def crop_box(
    box: IntBox, padding: int, aspect_wh: tuple[int, int], size_wh: tuple[int, int]
) -> IntBox:
    """`box` padded and grown to the aspect `aspect_wh`, moved into a picture of `size_wh`.

    Where the picture is too small for the aspect the box is as large as fits.
    """
    width, height = size_wh
    x0, y0, x1, y1 = grown(box, padding, size_wh)
    aspect = aspect_wh[0] / aspect_wh[1]
    w = min(width, max(x1 - x0, math.ceil((y1 - y0) * aspect)))
    h = min(height, max(y1 - y0, math.ceil((x1 - x0) / aspect)))
    left = int(np.clip((x0 + x1 - w) // 2, 0, width - w))
    top = int(np.clip((y0 + y1 - h) // 2, 0, height - h))
    return left, top, left + int(w), top + int(h)


def square_box(box: Box, padding: float, size_wh: tuple[int, int]) -> IntBox:
    """The square round `box`, padded by `padding` of its longer side, moved into the picture.

    Where the picture is too small for it, it is cut off and no longer square.
    """
    side = max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * padding)
    spans = []
    for low, high, size in zip(box[:2], box[2:], size_wh, strict=True):
        length = min(side, size)
        start = min(max(0.0, (low + high - length) / 2), size - length)
        spans.append((round(start), max(round(start) + 1, round(start + length))))
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (n, 4) with boxes (m, 4), (n, m); 0 without any area.

    >>> iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])).round(2)
    array([[0.33, 0.  ]])
    """
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1] - shared
    out: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return out
