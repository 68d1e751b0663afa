"""Polygons of masks, exact to the pixel, holes and separate parts included.

A polygon has no holes: each hole is joined to its ring by a bridge of no width, as Ultralytics
joins the parts of COCO polygons.
"""

from __future__ import annotations

import numpy as np

from ...stages.regions.boxes import mask_box


def edges(mask: np.ndarray) -> list[np.ndarray]:
    """Return outlines along the edges of pixels, one for each part: int (N, 2), x and y.

    `mask`: bool (H, W). The corner of the first pixel is (0, 0), as COCO counts.
    """
    top, left, window = _window(mask)
    height, width = window.shape
    # Corners and edges of the pixels become points of a grid of twice the size.
    grid = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    for y in range(3):
        for x in range(3):
            grid[y : y + 2 * height : 2, x : x + 2 * width : 2] |= window
    return [_corners(_with_inner_corners(ring)) // 2 + (left, top) for ring in _rings(grid)]


def outline(mask: np.ndarray) -> np.ndarray:
    """Return one outline through the border pixels, float (N, 2), N at least 3.

    `mask`: bool (H, W), not empty. Parts are joined by bridges one pixel wide, since a line of
    a YOLO file is one polygon. Filled by cv2.fillPoly it gives the mask and its bridges: points
    are at a quarter of a pixel, which Ultralytics cuts off and supervision rounds off.
    """
    top, left, window = _window(mask)
    rings = sorted((_corners(ring) for ring in _rings(window)), key=len, reverse=True)
    whole = rings[0]
    for ring in rings[1:]:
        i, j = _nearest(whole, ring)
        whole = np.concatenate([whole[: i + 1], ring[j:], ring[: j + 1], whole[i:]])
    while len(whole) < 3:
        whole = np.concatenate([whole, whole[-1:]])
    return whole + (left + 0.25, top + 0.25)


def _window(mask: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Return top, left, and the mask cropped to what is not empty, as uint8."""
    box = mask_box(mask)
    if box is None:
        raise ValueError("an empty mask has no outline: expected at least one pixel")
    x0, y0, x1, y1 = box
    return y0, x0, np.ascontiguousarray(mask[y0:y1, x0:x1], np.uint8)


def _rings(grid: np.ndarray) -> list[np.ndarray]:
    """Return closed paths in steps of one, int (N, 2), one for each part with its holes."""
    import cv2

    found, tree = cv2.findContours(grid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    paths = [contour[:, 0] for contour in found]
    out = []
    for outer, (_, _, child, parent) in enumerate(tree[0].tolist()):
        if parent >= 0:
            continue
        holes = []
        while child >= 0:
            holes.append(paths[child])
            child = int(tree[0][child][0])
        out.append(_bridged(paths[outer], holes))
    return out


def _bridged(ring: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """Join each hole, from the top, straight up to the ring or hole above it."""
    for hole in sorted(holes, key=lambda path: int(path[:, 1].min())):
        j = int(hole[:, 1].argmin())
        x, y = hole[j]
        above = np.flatnonzero((ring[:, 0] == x) & (ring[:, 1] <= y))
        i = int(above[ring[above, 1].argmax()])
        ring = np.concatenate([ring[: i + 1], hole[j:], hole[: j + 1], ring[i:]])
    return ring


def _with_inner_corners(ring: np.ndarray) -> np.ndarray:
    """Insert the inner corners that contours cut, in a path of a grid of twice the size.

    A corner of a pixel is at an even place of that grid.
    """
    after = np.roll(ring, -1, 0)
    cut = np.flatnonzero((ring != after).all(axis=1))
    start, end = ring[cut], after[cut]
    first = np.stack([start[:, 0], end[:, 1]], axis=1)
    second = np.stack([end[:, 0], start[:, 1]], axis=1)
    corners = np.where((first % 2 == 0).all(axis=1)[:, None], first, second)
    return np.insert(ring, cut + 1, corners, axis=0)


def _corners(points: np.ndarray) -> np.ndarray:
    """Return the points at which a path turns, int (N, 2); a single point stays."""
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    turns = (before != after).any(axis=1)
    return points[turns] if turns.any() else points[:1]


def _nearest(a: np.ndarray, b: np.ndarray, most: int = 256) -> tuple[int, int]:
    """Return indices of near points of two paths; long paths are thinned out."""
    i, j = (np.unique(np.linspace(0, len(p) - 1, most).astype(int)) for p in (a, b))
    gaps = ((a[i][:, None] - b[j][None]) ** 2).sum(axis=2)
    k, m = np.unravel_index(gaps.argmin(), gaps.shape)
    return int(i[k]), int(j[m])
