"""Crop, feather, paste: pure array arithmetic. The scene outside the blend stays as it was.

Knows no models and no shots.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .shot import Box


def dilate(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Grow (pixels > 0) or shrink (< 0) a bool (H, W) mask with a round brush."""
    if pixels == 0:
        return mask.copy()
    n = abs(pixels)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * n + 1, 2 * n + 1))
    change = cv2.dilate if pixels > 0 else cv2.erode
    grown = change(mask.astype(np.uint8), brush, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return grown.astype(bool)


def feather(mask: np.ndarray, blur: int) -> np.ndarray:
    """Blend weights float32 (H, W), 0..1, of a bool mask softened over `blur` pixels.

    Gaussian of sigma `blur`, as A1111's mask blur, cut off at 2 * blur: farther from the mask the
    weight is exactly 0. Inside, 2 * blur from the edge, it is exactly 1.
    """
    hard = mask.astype(np.float32)
    if blur <= 0 or not mask.any() or mask.all():
        return hard
    reach = 2 * blur
    side = 2 * reach + 1
    soft = cv2.GaussianBlur(hard, (side, side), blur, borderType=cv2.BORDER_REPLICATE)
    soft = np.clip(soft, 0.0, 1.0)
    soft[soft < 1 / 512] = 0.0
    soft[soft > 1 - 1 / 512] = 1.0
    return soft


def crop_box(
    mask: np.ndarray, padding: int, size_wh: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Box (x0, y0, x1, y1) round a bool (H, W) mask, padded, of the aspect of `size_wh`.

    It lies in the picture; where the picture is too small for the aspect the box is as large as
    fits. None for an empty mask.
    """
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    x0, x1 = max(0, columns[0] - padding), min(width, columns[-1] + 1 + padding)
    y0, y1 = max(0, rows[0] - padding), min(height, rows[-1] + 1 + padding)
    aspect = size_wh[0] / size_wh[1]
    w = min(width, max(x1 - x0, math.ceil((y1 - y0) * aspect)))
    h = min(height, max(y1 - y0, math.ceil((x1 - x0) / aspect)))
    left = int(np.clip((x0 + x1 - w) // 2, 0, width - w))
    top = int(np.clip((y0 + y1 - h) // 2, 0, height - h))
    return left, top, left + int(w), top + int(h)


def square_box(box: Box, padding: float, size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
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


def resize(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Area averaging to shrink, Lanczos to enlarge; the same array where the size is the same."""
    if image.shape[1::-1] == tuple(size_wh):
        return image
    shrink = image.shape[0] * image.shape[1] > size_wh[0] * size_wh[1]
    how = cv2.INTER_AREA if shrink else cv2.INTER_LANCZOS4
    return cv2.resize(image, tuple(size_wh), interpolation=how)


def paste(source: np.ndarray, patch: np.ndarray, box: Box, blend: np.ndarray) -> np.ndarray:
    """`source` uint8 (H, W, 3) with `patch` (h, w, 3) blended into `box` by `blend` (H, W).

    Where the blend is 0 the source's bytes are copied; where it is 1, the patch's.
    """
    x0, y0, x1, y1 = (int(v) for v in box)
    out = source.copy()
    weight = blend[y0:y1, x0:x1, None]
    old = source[y0:y1, x0:x1]
    new = resize(patch, (x1 - x0, y1 - y0))
    mixed = np.rint(old + (new.astype(np.float32) - old) * weight).clip(0, 255).astype(np.uint8)
    out[y0:y1, x0:x1] = np.where(weight > 0, mixed, old)
    return out


def changed_outside(source: np.ndarray, result: np.ndarray, blend: np.ndarray) -> int:
    """How many pixels differ where the blend is 0."""
    return int(((source != result).any(-1) & (blend == 0)).sum())


def edge_iou(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None) -> float:
    """Overlap of the Canny edges of two uint8 (H, W, 3) pictures inside a mask, 0..1.

    An edge counts as met when the other picture has one within one pixel; 1 where neither has any.
    """
    if mask is None or not mask.any():
        return 1.0
    brush = np.ones((3, 3), np.uint8)
    edges = [cv2.Canny(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), 60, 140) > 0 for x in (a, b)]
    near = [cv2.dilate(e.astype(np.uint8), brush) > 0 for e in edges]
    met = (edges[0] & near[1] & mask).sum() + (edges[1] & near[0] & mask).sum()
    everything = (edges[0] & mask).sum() + (edges[1] & mask).sum()
    if everything == 0:
        return 1.0
    return float(met / (2 * everything - met))
