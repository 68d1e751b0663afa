"""Re-rendering: the scene, the shape and the colour that are kept, the colour that is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .color_metrics import delta_e2000, lab, nearest_word, nearest_words
from .detection import held_out, shot_of


def shots_with_truth(renders: list[Any]) -> list[Any]:
    """Single products of renders with their exact masks, as stage 2 would hand them on."""
    from ...stages.shot import Detection

    shots = []
    for k, render in enumerate(renders):
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
    """`rerender(conditioning_scale=…)` makes stage 3; it runs with the ControlNet on and off, then
    with a colour word as edit."""
    from ...stages.regions.metrics import changed_outside, edge_iou

    renders = held_out(count, size, offset=3, products=1)
    shots = shots_with_truth(renders)
    edges, changed, drift = {}, 0, []
    for name, scale in (("on", None), ("off", 0.0)):
        stage = rerender() if scale is None else rerender(conditioning_scale=scale)
        values = []
        for shot in stage(shots):
            if shot.result is None or shot.blend is None:
                raise RuntimeError(f"stage 3 gave no result: {shot.failure or shot.reason}")
            changed += changed_outside(shot.image, shot.result, shot.blend)
            values.append(edge_iou(shot.image, shot.result, shot.mask))
            if name == "on":
                old, new = (lab(pixels[shot.mask]) for pixels in (shot.image, shot.result))
                drift.append(float(delta_e2000(old, new).mean()))
        edges[name] = float(np.mean(values))
    taken = _color_taken(rerender(), shots, renders)
    return {
        "changed_outside": float(changed),
        "structure_gain": edges["on"] - edges["off"],
        "color_kept": float(np.mean(drift)),
        "color_taken": float(np.mean([share for share, _ in taken.values()])),
    }, {
        "pictures": count,
        "edge_iou": edges,
        "color_kept": drift,
        "color_taken": taken,
        "color_taken_by_renders": float(np.mean([share for _, share in taken.values()])),
    }


def _color_taken(
    stage: Any, shots: list[Any], renders: list[Any]
) -> dict[str, tuple[float, float]]:
    """By shot: of the mask's pixels that had the product's colour, the share that an edit by
    another colour word gave that colour, and the share that has it where the renderer draws the
    product in it: light and shade give some pixels another nearest colour of the vocabulary."""
    from ...samples import varied, vocabulary

    words = list(vocabulary.COLOUR_RGB)
    rng = np.random.default_rng(7)
    asked = []
    for shot in shots:
        old = nearest_word(shot.image, shot.mask, vocabulary.COLOUR_RGB)
        asked.append((old, str(rng.choice([w for w in words if w != old]))))
    out = {}
    edited = [replace(shot, edit=new) for shot, (_, new) in zip(shots, asked, strict=True)]
    for shot, render, (old, new) in zip(stage(edited), renders, asked, strict=True):
        size = shot.image.shape[1]
        drawn = varied.render(render.meta["seed"], size, products=1, colour=new).image
        before, after, truth = (
            nearest_words(pixels[shot.mask], vocabulary.COLOUR_RGB)
            for pixels in (shot.image, shot.result, drawn)
        )
        own = before == words.index(old)
        taken, by_render = (float((a[own] == words.index(new)).mean()) for a in (after, truth))
        out[f"{shot.id}: {old} to {new}"] = taken, by_render
    return out
