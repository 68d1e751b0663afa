"""Windows: the part of a picture in which each product is redrawn, and at which size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import boxes, composite


@dataclass(frozen=True)
class Window:
    """`box`: x0, y0, x1, y1 in the picture; `blend`: float32 (y1 - y0, x1 - x0), 0..1, how much of
    the new pixels is taken; `size_wh`: the size at which the model draws it."""

    box: tuple[int, int, int, int]
    blend: np.ndarray
    size_wh: tuple[int, int]

    @property
    def rows_columns(self) -> tuple[slice, slice]:
        x0, y0, x1, y1 = self.box
        return slice(y0, y1), slice(x0, x1)

    def overlaps(self, other: Window) -> bool:
        """Whether the two blends share a pixel."""
        a, b = self.box, other.box
        x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
        if x0 >= x1 or y0 >= y1:
            return False
        mine, its = (
            w.blend[y0 - w.box[1] : y1 - w.box[1], x0 - w.box[0] : x1 - w.box[0]] > 0
            for w in (self, other)
        )
        return bool((mine & its).any())


def bucket(aspect: float, size_wh: tuple[int, int], step: int) -> tuple[int, int]:
    """The size of `aspect` (width / height, taken as 1/2..2) with about the area of `size_wh`,
    both sides multiples of `step`.

    >>> bucket(1.5, (512, 512), 64)
    (640, 384)
    """
    aspect = min(2.0, max(0.5, aspect))
    area = size_wh[0] * size_wh[1]
    width = max(step, round(math.sqrt(area * aspect) / step) * step)
    return width, max(step, round(area / width / step) * step)


def bucket_step(size_wh: tuple[int, int], step: int) -> int:
    """The step of bucket sizes: a quarter of the shorter side, rounded up to a multiple of `step`.

    With coarse steps the windows of a batch share sizes, and so calls of the model.

    >>> bucket_step((1024, 1024), 32)
    256
    """
    return -(-min(size_wh) // (4 * step)) * step


def window(
    mask: np.ndarray,
    *,
    dilate: int = 0,
    blur: int = 0,
    padding: int = 0,
    size_wh: tuple[int, int] = (512, 512),
    step: int | None = None,
) -> Window | None:
    """The padded window round a bool (H, W) mask that is grown by `dilate` and feathered by
    `blur`; with `step` its size follows the mask's aspect (`bucket`). None for an empty mask.

    Works on the mask's surroundings alone: a small product costs little in a large photo.
    """
    height, width = mask.shape
    around = boxes.mask_box(mask)
    if around is None:
        return None
    reach = max(0, dilate) + 2 * blur + 1
    left, top, right, bottom = boxes.grown(around, reach, (width, height))
    near = composite.dilate(mask[top:bottom, left:right], dilate)
    soft = composite.feather(near, blur)
    inner = boxes.mask_box(soft)
    if inner is None:
        return None
    x0, y0, x1, y1 = left + inner[0], top + inner[1], left + inner[2], top + inner[3]
    if step:
        aspect = (x1 - x0 + 2 * padding) / (y1 - y0 + 2 * padding)
        size_wh = bucket(aspect, size_wh, step)
    box = boxes.crop_box((x0, y0, x1, y1), padding, size_wh, (width, height))
    blend = np.zeros((box[3] - box[1], box[2] - box[0]), np.float32)
    blend[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]] = soft[
        y0 - top : y1 - top, x0 - left : x1 - left
    ]
    return Window(box, blend, size_wh)


def turns(windows: Sequence[Window]) -> list[int]:
    """For each window of a picture its turn, 0 first: windows whose blends overlap take turns, in
    order, so that the later one sees what the earlier one drew."""
    out: list[int] = []
    for k, one in enumerate(windows):
        before = [out[j] for j in range(k) if one.overlaps(windows[j])]
        out.append(max(before) + 1 if before else 0)
    return out
