"""Mask operations: move, grow, repair, sort, select, merge, under ADetailer's names.

A mask is bool (H, W), True on the product. Arguments are never changed in place, nothing wraps
round an edge, and distances are Euclidean, in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np

from ..classes import MERGED, SCENE
from ..shot import Box, Detection
from . import boxes

Sort = Literal["none", "left-to-right", "center-to-edge", "area"]
Method = Literal["area", "confidence"]


def bounds(mask: np.ndarray) -> Box | None:
    """The box x0, y0, x1, y1 round a mask; None round an empty one.

    >>> bounds(np.array([[False, True], [False, False]]))
    (1.0, 0.0, 2.0, 1.0)
    """
    box = boxes.mask_box(mask)
    return None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))


def _near(mask: np.ndarray, reach: int, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`change` on the mask's surroundings alone; a small product costs little in a large photo.

    The window reaches `reach` pixels farther than the mask, as far as the picture goes.
    """
    box = boxes.mask_box(mask)
    if box is None:
        return mask.copy()
    x0, y0, x1, y1 = boxes.grown(box, reach, (mask.shape[1], mask.shape[0]))
    out = np.zeros_like(mask)
    out[y0:y1, x0:x1] = change(mask[y0:y1, x0:x1])
    return out


def offset(mask: np.ndarray, x: int, y: int) -> np.ndarray:
    """Moved by `x` to the right and `y` up, as ADetailer's x(→) and y(↑); what leaves is gone."""
    height, width = mask.shape
    out = np.zeros_like(mask)
    if abs(x) >= width or abs(y) >= height:
        return out
    to, start = max(0, x), max(0, -x)
    down, top = max(0, -y), max(0, y)
    wide, high = width - abs(x), height - abs(y)
    out[down : down + high, to : to + wide] = mask[top : top + high, start : start + wide]
    return out


def dilate_erode(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Grown (pixels > 0) or shrunk (< 0) by an exact Euclidean distance; `composite.dilate` has
    OpenCV's elliptical brush, which reaches a little less far.

    The picture's own edge shrinks nothing: a product that it cuts off goes on behind it.
    """
    if pixels == 0:
        return mask.copy()

    def change(part: np.ndarray) -> np.ndarray:
        inside = part if pixels < 0 else ~part
        if inside.all():  # no pixel to measure the distance to
            return part.copy()
        far = cv2.distanceTransform(
            inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        ) > abs(pixels)
        return far if pixels < 0 else ~far

    return _near(mask, max(pixels, 1), change)


def fill_holes(mask: np.ndarray, share: bool | float = True) -> np.ndarray:
    """Without the holes that cover up to `share` of the mask's area; True: without any.

    A gap that reaches the picture's edge is no hole.
    """
    if share is False or share == 0:
        return mask.copy()
    most = mask.size if share is True else float(share) * int(mask.sum())

    def change(part: np.ndarray) -> np.ndarray:
        framed = np.pad(~part, 1, constant_values=True).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(framed, connectivity=4)
        hole = stats[:, cv2.CC_STAT_AREA] <= most
        hole[[0, labels[0, 0]]] = False
        return part | hole[labels[1:-1, 1:-1]]

    return _near(mask, 1, change)


def drop_islands(mask: np.ndarray, share: float) -> np.ndarray:
    """Without the parts smaller than `share` of the largest; a corner in common joins two."""
    if share <= 0:
        return mask.copy()

    def change(part: np.ndarray) -> np.ndarray:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            part.astype(np.uint8), connectivity=8
        )
        area = stats[:, cv2.CC_STAT_AREA].copy()
        area[0] = 0
        return (area >= share * area.max())[labels] & part

    return _near(mask, 0, change)


def smooth(mask: np.ndarray, pixels: int) -> np.ndarray:
    """The edge drawn smoother: a Gaussian of sigma `pixels`, cut at one half.

    What is thinner than about that goes; the picture's edge is taken to go on.
    """
    if pixels <= 0:
        return mask.copy()

    def change(part: np.ndarray) -> np.ndarray:
        soft = cv2.GaussianBlur(
            part.astype(np.float32), (0, 0), pixels, borderType=cv2.BORDER_REPLICATE
        )
        return soft > 0.5

    return _near(mask, 4 * pixels, change)


def mask_of(found: Detection) -> np.ndarray:
    """The detection's mask; raises ValueError where segmentation has not made one yet."""
    if found.mask is None:
        raise ValueError(f"{found.label!r} without a mask: expected one; run segment first")
    return found.mask


def with_mask(found: Detection, mask: np.ndarray) -> Detection | None:
    """The detection with a changed mask and the box round it; None where the mask is empty."""
    if np.array_equal(mask, mask_of(found)):
        return found if mask.any() else None
    box = bounds(mask)
    return None if box is None else replace(found, mask=mask, box_xyxy=box)


def by_ratio(found: Sequence[Detection], least: float, most: float) -> list[Detection]:
    """Those whose mask covers a share of the picture from `least` to `most`, 0..1."""
    return [d for d in found if least <= mask_of(d).mean() <= most]


def top_k(found: Sequence[Detection], k: int, method: Method = "area") -> list[Detection]:
    """The `k` of the largest mask or the best score, in the order given; 0: all."""
    if k <= 0 or k >= len(found):
        return list(found)

    def rank(i: int) -> float:
        return -found[i].score if method == "confidence" else -float(mask_of(found[i]).sum())

    return [found[i] for i in sorted(sorted(range(len(found)), key=rank)[:k])]


def ordered(found: Sequence[Detection], how: Sort = "none") -> list[Detection]:
    """In the order in which they are re-rendered: by the box's left side, by the distance of its
    middle from the picture's, or by falling mask area; none: as given. Equal ones keep theirs.
    """
    if how == "left-to-right":
        return sorted(found, key=lambda d: d.box_xyxy[0])
    if how == "area":
        return sorted(found, key=lambda d: -int(mask_of(d).sum()))
    if how == "center-to-edge":

        def distance(d: Detection) -> float:
            height, width = mask_of(d).shape
            x0, y0, x1, y1 = d.box_xyxy
            return float(np.hypot((x0 + x1 - width) / 2, (y0 + y1 - height) / 2))

        return sorted(found, key=distance)
    return list(found)


def merge(found: Sequence[Detection]) -> list[Detection]:
    """One detection of all masks together, labelled as they are where all agree, else "merged".

    Its score is the best one, its mask and verify scores the least.
    """
    if len(found) < 2:
        return list(found)
    together = np.logical_or.reduce([mask_of(d) for d in found])
    labels = {d.label for d in found}
    box = bounds(together)
    if box is None:
        return []

    def least(values: list[float | None]) -> float | None:
        return min((v for v in values if v is not None), default=None)

    return [
        Detection(
            box_xyxy=box,
            score=max(d.score for d in found),
            label=labels.pop() if len(labels) == 1 else MERGED,
            mask=together,
            mask_score=least([d.mask_score for d in found]),
            verify_score=least([d.verify_score for d in found]),
        )
    ]


def invert(found: Sequence[Detection], label: str = SCENE) -> list[Detection]:
    """One detection of all that no mask covers: the products stay, the scene is re-rendered.

    It is labelled `label`, since it shows none of the products; [] where nothing is left over.
    """
    merged = merge(found)
    if not merged:
        return []
    rest = ~mask_of(merged[0])
    box = bounds(rest)
    return [] if box is None else [replace(merged[0], mask=rest, box_xyxy=box, label=label)]
