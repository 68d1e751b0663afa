"""Re-rendering: is the scene kept, and does the ControlNet hold the shape?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .detection import held_out, shot_of


def shots_with_truth(count: int, size: int) -> list[Any]:
    """Single products of held-out renders with their exact masks, as stage 2 would hand them on."""
    from ...stages.shot import Detection

    shots = []
    for k, render in enumerate(held_out(count, size, offset=3, products=1)):
        product = render.meta["products"][0]
        box = tuple(float(v) for v in product["box_xyxy"])
        found = Detection(
            box_xyxy=box,  # type: ignore[arg-type]
            score=1.0,
            label=product["label"],
            mask=render.instances == product["instance"],
            mask_score=1.0,
        )
        shots.append(replace(shot_of(render, product["label"], k), detections=(found,)))
    return shots


def measure(
    rerender: Callable[..., Any], count: int, size: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """`rerender(conditioning_scale=…)` makes stage 3; it runs with the ControlNet on and off."""
    from ...stages.regions.metrics import changed_outside, edge_iou

    shots = shots_with_truth(count, size)
    edges, changed = {}, 0
    for name, scale in (("on", None), ("off", 0.0)):
        stage = rerender() if scale is None else rerender(conditioning_scale=scale)
        values = []
        for shot in stage(shots):
            if shot.result is None or shot.blend is None:
                raise RuntimeError(f"stage 3 gave no result: {shot.failure or shot.reason}")
            changed += changed_outside(shot.image, shot.result, shot.blend)
            values.append(edge_iou(shot.image, shot.result, shot.mask))
        edges[name] = float(np.mean(values))
    return {
        "changed_outside": float(changed),
        "structure_gain": edges["on"] - edges["off"],
    }, {"pictures": count, "edge_iou": edges}
