"""Crop, feather, paste: pure array arithmetic. The scene outside the blend stays as it was.

Knows no models and no shots.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from ..shot import Box


def dilate(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Grow (pixels > 0) or shrink (< 0) a bool (H, W) mask with a round brush."""
    if pixels == 0:
        return mask.copy()
    n = abs(pixels)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * n + 1, 2 * n + 1))
    change = cv2.dilate if pixels > 0 else cv2.erode
    grown = change(mask.astype(np.uint8), brush)  # beyond the picture: neither on nor off
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
    box: tuple[int, int, int, int],
    padding: int,
    aspect_wh: tuple[int, int],
    size_wh: tuple[int, int],
) -> tuple[int, int, int, int]:
    """`box` padded and grown to the aspect `aspect_wh`, moved into a picture of `size_wh`.

    Where the picture is too small for the aspect the box is as large as fits.
    """
    width, height = size_wh
    x0, x1 = max(0, box[0] - padding), min(width, box[2] + padding)
    y0, y1 = max(0, box[1] - padding), min(height, box[3] + padding)
    aspect = aspect_wh[0] / aspect_wh[1]
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


def mix(old: np.ndarray, patch: np.ndarray, blend: np.ndarray) -> np.ndarray:
    """`old` uint8 (h, w, 3) with `patch`, resized to it, taken by `blend` float (h, w), 0..1.

    Where the blend is 0 the old bytes are copied; where it is 1, the patch's.
    """
    new = resize(patch, (old.shape[1], old.shape[0]))
    weight = blend[..., None]
    mixed = np.rint(old + (new.astype(np.float32) - old) * weight).clip(0, 255).astype(np.uint8)
    return np.where(weight > 0, mixed, old)


def deepen(
    deep: np.ndarray, image: np.ndarray, result: np.ndarray, blend: np.ndarray
) -> np.ndarray:
    """The result with 16 bits a sample, uint16 (H, W, 3).

    `deep`: the source's samples, `image` the same as uint8, `result` uint8 with `blend` (H, W) of
    new pixels. Where the blend is 0 the samples of `deep` are copied; where it is 1, it is the
    result times 257; between, what mixing 16-bit samples gives, to the rounding of `result`.
    """
    out = deep.copy()
    drawn = blend > 0
    old, new = image[drawn].astype(np.float32), result[drawn].astype(np.float32)
    fine = (deep[drawn] - 257 * old) * (1 - blend[drawn][:, None])
    out[drawn] = np.rint(257 * new + fine).clip(0, 65535).astype(np.uint16)
    return out


def changed_outside(source: np.ndarray, result: np.ndarray, blend: np.ndarray) -> int:
    """How many pixels differ where the blend is 0."""
    return int(((source != result).any(-1) & (blend == 0)).sum())


def surroundings(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of a bool (H, W) mask and `margin` pixels round it; all, if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return slice(None), slice(None)
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def match_colours(patch: np.ndarray, crop: np.ndarray, blend: np.ndarray) -> np.ndarray:
    """`patch` with its mean colour shifted so that it meets `crop` just outside the blend.

    All (h, w, 3) uint8, blend (h, w). What the model drew outside the mask should be the crop;
    its mean difference there, within an eighth of the window of the mask, is the model's own
    tint and is taken off everywhere.
    """
    inside = (blend > 0).astype(np.uint8)
    near = cv2.dilate(inside, np.ones((3, 3), np.uint8), iterations=max(patch.shape) // 8)
    ring = (near > 0) & (blend == 0)
    if not ring.any():
        return patch
    tint = patch[ring].mean(0, dtype=np.float64) - crop[ring].mean(0, dtype=np.float64)
    return np.rint(patch - tint).clip(0, 255).astype(np.uint8)


def seam(source: np.ndarray, result: np.ndarray, blend: np.ndarray) -> float:
    """How much steeper the result is than the source along the edge of the blend, levels 0..255.

    Mean over the pixels within two of where the blend starts of the Sobel gradient's growth, its
    fall counted as nothing; 0 is a seam that cannot be seen.
    """
    brush = np.ones((3, 3), np.uint8)
    inside = (blend > 0).astype(np.uint8)
    edge = (cv2.dilate(inside, brush) > 0) & (cv2.erode(inside, brush, iterations=2) == 0)
    if not edge.any():
        return 0.0
    steep = []
    for picture in (source, result):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        steep.append(np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)) / 4)
    return float((steep[1] - steep[0])[edge].clip(0).mean())


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
