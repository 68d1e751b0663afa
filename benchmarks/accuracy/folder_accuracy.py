"""A folder of photos as users bring it: many sizes, none to four products, several classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ...pipeline.runner.run import Stages
from ...samples import vocabulary
from .detection import box_iou, detected, held_out, mask_iou

SIZES = {128: 20, 256: 14, 512: 10, 1024: 6, 2000: 6, 4000: 4}
"""Side in pixels and how many of the 60 photos have it."""


def photos(share: float = 1.0) -> list[Any]:
    """The held-out renders; `share` of each size, of the three smallest at least one."""
    least = {side: int(side <= 512) for side in SIZES}
    sides = [s for s, n in SIZES.items() for _ in range(max(least[s], round(n * share)))]
    return [held_out(1, side, offset=5 + k, products=k % 5)[0] for k, side in enumerate(sides)]


def measure(
    stages: Stages, share: float = 1.0, tell: Callable[[str], None] = lambda text: None
) -> tuple[dict[str, float], dict[str, Any]]:
    """All eight classes asked of every photo, then every product found is re-rendered.

    A detection is right where its box overlaps a product of its class by 0.5 or more, each product
    counted once. The worst class's precision and recall are reported, and the mean mask IoU.
    """
    from ...stages.shot import FileInput, Shot

    assert stages.segment and stages.rerender
    hits: Counter[str] = Counter()
    found: Counter[str] = Counter()
    there: Counter[str] = Counter()
    masks: list[float] = []
    outcomes: Counter[str] = Counter()
    changed = 0
    for k, render in enumerate(photos(share)):
        tell(f"photo {k + 1}: {render.image.shape[0]} px")
        source = FileInput(f"render-{k}.png", k)
        shot = Shot(f"photo-{k}", source, tuple(vocabulary.CLASSES), image=render.image)
        shot = stages.segment(detected(stages, [shot]))[0]
        left = list(render.meta["products"])
        there.update(p["label"] for p in left)
        for d in shot.detections if shot.open else ():
            found[d.label] += 1
            fits = [
                box_iou(d.box_xyxy, p["box_xyxy"]) if p["label"] == d.label else 0.0 for p in left
            ]
            if fits and max(fits) >= 0.5:
                product = left.pop(int(np.argmax(fits)))
                hits[d.label] += 1
                truth = render.instances == product["instance"]
                masks.append(mask_iou(d.mask, truth) if d.mask is not None else 0.0)
        done = stages.rerender([shot])[0]
        changed += int(done.metrics.get("changed_outside", 0))
        outcomes[done.reason.code if done.reason else done.status] += 1
    per_class = {
        name: {
            "precision": hits[name] / found[name] if found[name] else 1.0,
            "recall": hits[name] / there[name],
            "products": there[name],
        }
        for name in vocabulary.CLASSES
        if there[name]
    }
    return {
        "folder_precision": min(v["precision"] for v in per_class.values()),
        "folder_recall": min(v["recall"] for v in per_class.values()),
        "folder_mask_iou": float(np.mean(masks)) if masks else 0.0,
        "folder_changed_outside": float(changed),
    }, {
        "precision": sum(hits.values()) / max(1, sum(found.values())),
        "recall": sum(hits.values()) / max(1, sum(there.values())),
        "classes": per_class,
        "outcomes": dict(outcomes),
    }
