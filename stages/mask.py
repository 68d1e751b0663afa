"""Stage 2, mask filter: repairs, selects, sorts, moves, grows and merges masks, as ADetailer does.

The order is ADetailer's: ratio, top-k, sort, offset, dilate or erode, merge; repairs come first. A
detection whose mask is lost is dropped, and a shot that loses all is skipped with numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from . import batching
from .regions import mask_ops
from .shot import Detection, Shot, Skip
from .stage import Modules

MergeInvert = Literal["none", "merge", "merge_and_invert"]


class MaskFilter:
    """ADetailer's mask options, with its defaults except for `dilate_erode`, here 0.

    Args:
        mask_min_ratio: least share of the picture, 0..1, that a mask (not its box) covers.
        mask_max_ratio: largest share.
        mask_k: how many masks stay; 0 for all.
        mask_filter_method: whether these are the largest ("area") or the best ("confidence").
        sort: the order of the instances.
        x_offset: pixels to the right.
        y_offset: pixels upwards.
        dilate_erode: pixels by which masks grow, or, below 0, shrink.
        merge_invert: one mask of all; "merge_and_invert": of everything else, the scene.
        fill_holes: largest hole that is filled, a share of the mask, or True for all.
        drop_islands: least part that is kept, a share of the largest part.
        smooth: sigma in pixels of the smoothing of edges.
        batch_size: shots at a time.
    """

    def __init__(
        self,
        *,
        mask_min_ratio: float = 0.0,
        mask_max_ratio: float = 1.0,
        mask_k: int = 0,
        mask_filter_method: mask_ops.Method = "area",
        sort: mask_ops.Sort = "none",
        x_offset: int = 0,
        y_offset: int = 0,
        dilate_erode: int = 0,
        merge_invert: MergeInvert = "none",
        fill_holes: bool | float = False,
        drop_islands: float = 0.0,
        smooth: int = 0,
        batch_size: int = 8,
    ) -> None:
        self.ratio = mask_min_ratio, mask_max_ratio
        self.mask_k, self.method, self.sort = mask_k, mask_filter_method, sort
        self.offset = x_offset, y_offset
        self.dilate_erode = dilate_erode
        self.merge_invert = merge_invert
        self.fill_holes, self.drop_islands, self.smooth = fill_holes, drop_islands, smooth
        self.batch_size = batch_size

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots' detections, fewer or changed; `metrics` count what was dropped and why.

        A shot that loses all is skipped: `mask_ratio`, or `no_mask` for any other reason.
        """
        return batching.apply(shots, lambda s: [self._mask(x) for x in s], where="mask", size=1)

    def modules(self) -> Modules:
        """It runs no models."""
        return {}

    def _mask(self, shot: Shot) -> Shot:
        found = list(shot.detections)
        lost: Counter[str] = Counter()

        def step(name: str, left: list[Detection]) -> list[Detection]:
            if len(left) < len(found):
                lost[name] += len(found) - len(left)
            return left

        found = step("repaired", self._repair(found))
        shares = [float(mask_ops.mask_of(d).mean()) for d in found]
        found = step("mask_ratio", mask_ops.by_ratio(found, *self.ratio))
        found = step("top_k", mask_ops.top_k(found, self.mask_k, self.method))
        found = mask_ops.ordered(found, self.sort)
        if any(self.offset):
            found = step("offset", _changed(found, lambda m: mask_ops.offset(m, *self.offset)))
        if self.dilate_erode:
            grown = _changed(found, lambda m: mask_ops.dilate_erode(m, self.dilate_erode))
            found = step("eroded", grown)
        if found and self.merge_invert != "none":
            found = mask_ops.merge(found)
        if found and self.merge_invert == "merge_and_invert":
            found = step("inverted", mask_ops.invert(found))
        counted = shot.with_metrics(**{f"dropped_{name}": n for name, n in lost.items()})
        if not found:
            return counted.skip(self._why(lost, shares))
        return replace(counted, detections=tuple(found))

    def _repair(self, found: list[Detection]) -> list[Detection]:
        def repair(mask: np.ndarray) -> np.ndarray:
            filled = mask_ops.fill_holes(mask, self.fill_holes)
            return mask_ops.smooth(mask_ops.drop_islands(filled, self.drop_islands), self.smooth)

        return _changed(found, repair)

    def _why(self, lost: Counter[str], shares: list[float]) -> Skip:
        low, high = self.ratio
        said = {
            "repaired": f"empty, or smoothed away by {self.smooth} px",
            "mask_ratio": f"outside {low:.3g} to {high:.3g} of the picture "
            f"({', '.join(f'{s:.3g}' for s in shares[:5])})",
            "offset": f"moved out of the picture by {self.offset[0]}, {self.offset[1]} px",
            "eroded": f"eroded away by {-self.dilate_erode} px",
            "inverted": "inverted to nothing: the products cover all of the picture",
            "top_k": f"beyond the best {self.mask_k}",
        }
        parts = [f"{number} {said[name]}" for name, number in lost.items()]
        code = "mask_ratio" if set(lost) == {"mask_ratio"} else "no_mask"
        return Skip(code, f"no mask left; {'; '.join(parts) or 'nothing was found'}")


def _changed(found: list[Detection], change: Callable[[np.ndarray], np.ndarray]) -> list[Detection]:
    """The detections with `change` done to their masks, without those it left empty."""
    done = (mask_ops.with_mask(d, change(mask_ops.mask_of(d))) for d in found)
    return [d for d in done if d is not None]
