"""Detection and masks against the exact truth of held-out renders."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from ...pipeline.runner.run import Stages
from ...samples import vocabulary

FIRST_SEED = 3_000_000
"""No training picture has a seed from here on."""


def held_out(count: int, size: int, offset: float = 0, **constraints: Any) -> list[Any]:
    """`count` renders that no training saw; `offset` keeps the measures' pictures apart."""
    from ...samples import varied

    first = FIRST_SEED + int(100_000 * offset)
    return [varied.render(first + k, size, **constraints) for k in range(count)]


def shot_of(render: Any, name: str, number: int) -> Any:
    """An open shot that asks for class `name` in a render."""
    from ...stages.shot import FileInput, Shot

    source = FileInput(f"render-{number}.png", number)
    return Shot(id=f"{name}-{number}", source=source, classes=(name,), image=render.image)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def box_iou(a: Any, b: Any) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(0.0, w) * max(0.0, h)
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return float(inter / (area - inter))


def detected(stages: Stages, shots: list[Any]) -> list[Any]:
    """Shots after detection and, where there is a verifier, its second look."""
    assert stages.detect
    shots = stages.detect(shots)
    return stages.verify(shots) if stages.verify else shots


def measure(stages: Stages, count: int, size: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Each of the eight classes is asked for in each of `count` pictures.

    Found means that a box passed the thresholds, the verifier's too. A found product's IoU is
    that of its best box.
    """
    assert stages.segment
    found: dict[bool, list[bool]] = {True: [], False: []}
    boxes, masks = [], []
    per_class: dict[str, dict[bool, list[bool]]] = defaultdict(lambda: {True: [], False: []})
    renders = held_out(count, size)
    for name in vocabulary.CLASSES:
        shots = detected(stages, [shot_of(r, name, k) for k, r in enumerate(renders)])
        present = [any(p["label"] == name for p in r.meta["products"]) for r in renders]
        for shot, here in zip(shots, present, strict=True):
            found[here].append(shot.open)
            per_class[name][here].append(shot.open)
        hits = [k for k, s in enumerate(shots) if present[k] and s.open]
        for k, shot in zip(hits, stages.segment([shots[k] for k in hits]), strict=True):
            render = renders[k]
            for product in render.meta["products"]:
                if product["label"] != name:
                    continue
                truth = render.instances == product["instance"]
                fits = [box_iou(d.box_xyxy, product["box_xyxy"]) for d in shot.detections]
                if not fits:
                    continue
                best = int(np.argmax(fits))
                if fits[best] < 0.3:  # another instance of the class was found, not this one
                    continue
                boxes.append(fits[best])
                mask = shot.detections[best].mask
                masks.append(mask_iou(mask, truth) if mask is not None else 0.0)
    values = {
        "recall": float(np.mean(found[True])),
        "false_positives": float(np.mean(found[False])),
        "box_iou": float(np.mean(boxes)) if boxes else 0.0,
        "mask_iou": float(np.mean(masks)) if masks else 0.0,
    }
    detail = {
        name: {"recall": float(np.mean(v[True])), "false_positives": float(np.mean(v[False]))}
        for name, v in per_class.items()
        if v[True] and v[False]
    }
    return values, {"pictures": count, "classes": detail}
