"""Stage 2, mask filter: repairs, selects, sorts, moves, grows and merges masks, as ADetailer does.

The order is ADetailer's: ratio, top-k, sort, offset, dilate or erode, merge; repairs come first. A
detection whose mask is lost is dropped, and a shot that loses all is skipped with numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..configs.detect import MaskSettings
from . import adaptive_batching
from .regions import mask_ops
from .shot import Detection, Shot, Skip
from .stage import Modules


class MaskFilter:
    """Applies ADetailer's mask options to the masks of each shot."""

    batch_size = 8

    def __init__(self, options: MaskSettings) -> None:
        self.options = options

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots' detections, fewer or changed; `metrics` count what was dropped and why.

        A shot that loses all is skipped: `mask_ratio`, or `no_mask` for any other reason.
        """
        return adaptive_batching.apply(
            shots, lambda s: [self._mask(x) for x in s], where="mask", size=1
        )

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

        o = self.options
        found = step("repaired", self._repair(found))
        shares = [float(mask_ops.mask_of(d).mean()) for d in found]
        found = step("mask_ratio", mask_ops.by_ratio(found, o.mask_min_ratio, o.mask_max_ratio))
        found = step("top_k", mask_ops.top_k(found, o.mask_k, o.mask_filter_method))
        found = mask_ops.ordered(found, o.sort)
        if o.x_offset or o.y_offset:
            moved = _changed(found, lambda m: mask_ops.offset(m, o.x_offset, o.y_offset))
            found = step("offset", moved)
        if o.dilate_erode:
            grown = _changed(found, lambda m: mask_ops.dilate_erode(m, o.dilate_erode))
            found = step("eroded", grown)
        if found and o.merge_invert != "none":
            found = mask_ops.merge(found)
        if found and o.merge_invert == "merge_and_invert":
            found = step("inverted", mask_ops.invert(found))
        counted = shot.with_metrics(**{f"dropped_{name}": n for name, n in lost.items()})
        if not found:
            return counted.skip(self._why(lost, shares))
        return replace(counted, detections=tuple(found))

    def _repair(self, found: list[Detection]) -> list[Detection]:
        def repair(mask: np.ndarray) -> np.ndarray:
            filled = mask_ops.fill_holes(mask, self.options.fill_holes)
            whole = mask_ops.drop_islands(filled, self.options.drop_islands)
            return mask_ops.smooth(whole, self.options.smooth)

        return _changed(found, repair)

    def _why(self, lost: Counter[str], shares: list[float]) -> Skip:
        o = self.options
        messages = {
            "repaired": f"empty, or smoothed away by {o.smooth} px",
            "mask_ratio": f"outside {o.mask_min_ratio:.3g} to {o.mask_max_ratio:.3g} of the picture"
            f" ({', '.join(f'{s:.3g}' for s in shares[:5])})",
            "offset": f"moved out of the picture by {o.x_offset}, {o.y_offset} px",
            "eroded": f"eroded away by {-o.dilate_erode} px",
            "inverted": "inverted to nothing: the products cover all of the picture",
            "top_k": f"beyond the best {o.mask_k}",
        }
        parts = [f"{number} {messages[name]}" for name, number in lost.items()]
        code = "mask_ratio" if set(lost) == {"mask_ratio"} else "no_mask"
        return Skip(code, f"no mask left; {'; '.join(parts) or 'nothing was found'}")


def _changed(found: list[Detection], change: Callable[[np.ndarray], np.ndarray]) -> list[Detection]:
    """The detections with `change` done to their masks, without those it left empty."""
    done = (mask_ops.with_mask(d, change(mask_ops.mask_of(d))) for d in found)
    return [d for d in done if d is not None]
