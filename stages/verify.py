"""Stage 2, verification: CLIP compares each detection's crop with its class and its rivals.

Zero-shot classification: a crop against a sentence for each phrase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import adaptive_batching
from .accel import offload
from .classes import ClassSpec, competitors, specs_of
from .regions.boxes import square_box
from .shot import Detection, Shot, Skip
from .stage import Modules

TEMPLATE = "a photo of a {}"
"""CLIP's own template for zero-shot classification (Radford et al. 2021, section 3.1.4)."""
NOTHING = "a photo"
"""The rival of a class that has neither reject phrases nor other classes beside it."""


class Verifier:
    """Drops detections whose crop does not look like their class; skips a shot that loses all.

    A detection's `verify_score`, 0..1, is the share of the softmax that its class's phrases get
    against its reject phrases and the shot's other classes.

    Args:
        model: a CLIP of transformers.
        processor: the model's.
        classes: phrases and reject phrases, by class.
        threshold: least `verify_score`, 0..1.
        padding: how much of the surroundings the crop shows, a share of the box's longer side.
        batch_size: crops in one call of the model.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        classes: Mapping[str, ClassSpec] | None = None,
        threshold: float = 0.5,
        padding: float = 0.1,
        batch_size: int = 8,
    ) -> None:
        self.model, self.processor = model, processor
        self.classes = dict(classes or {})
        self.threshold = threshold
        self.padding = padding
        self.batch_size = batch_size

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots' detections get their `verify_score`, or the shot is `not_verified`."""
        return adaptive_batching.apply(
            shots, self._check, where="verify", key=lambda s: s.classes, stage=self
        )

    def modules(self) -> Modules:
        """The CLIP."""
        return {"verify": [self.model]}

    def _check(self, shots: list[Shot]) -> list[Shot]:
        asked = specs_of(shots[0].classes, self.classes)
        specs = {spec.name: spec for spec in asked}
        tried = [(k, d) for k, shot in enumerate(shots) for d in shot.detections]
        images = [shot.on_white for shot in shots]
        crops = [self._crop(images[k], d) for k, d in tried]
        rivals = {name: competitors(spec, asked) for name, spec in specs.items()}
        texts = list(
            dict.fromkeys(
                [TEMPLATE.format(p) for n, s in specs.items() for p in (*s.queries, *rivals[n])]
                + [NOTHING]
            )
        )
        logits = self._logits(crops, texts)
        checked: list[list[Detection]] = [[] for _ in shots]
        for (k, d), row in zip(tried, logits, strict=True):
            spec = specs.get(d.label) or ClassSpec(d.label)
            mine = [TEMPLATE.format(p) for p in spec.queries]
            others = [TEMPLATE.format(p) for p in rivals.get(d.label, ())] or [NOTHING]
            checked[k].append(replace(d, verify_score=_share(row, texts, mine, others)))
        return [self._take(s, c) for s, c in zip(shots, checked, strict=True)]

    def _crop(self, image: np.ndarray | None, found: Detection) -> np.ndarray:
        if image is None:
            raise ValueError("a shot without a picture: expected one; run generate or load first")
        size_wh = image.shape[1], image.shape[0]
        x0, y0, x1, y1 = square_box(found.box_xyxy, self.padding, size_wh)
        return image[y0:y1, x0:x1]

    def _logits(self, crops: list[np.ndarray], texts: list[str]) -> np.ndarray:
        """Float (crops, texts): scaled likeness of each crop and text."""
        import torch

        rows = []
        offload.wake(self.model)
        for start in range(0, len(crops), self.batch_size):
            inputs = self.processor(
                text=texts,
                images=crops[start : start + self.batch_size],
                return_tensors="pt",
                padding=True,
                truncation=True,
                input_data_format="channels_last",
            ).to(self.model.device)
            with torch.inference_mode():
                rows.append(self.model(**inputs).logits_per_image.float().cpu().numpy())
        return np.concatenate(rows) if rows else np.zeros((0, len(texts)), np.float32)

    def _take(self, shot: Shot, checked: list[Detection]) -> Shot:
        kept = tuple(d for d in checked if (d.verify_score or 0.0) >= self.threshold)
        dropped = len(checked) - len(kept)
        if not kept:
            best = max(checked, key=lambda d: d.verify_score or 0.0, default=None)
            what = f"{best.label!r} {best.verify_score:.2f}" if best else "nothing found"
            message = f"no crop verified at {self.threshold:g} or above; best {what}"
            return replace(shot, detections=tuple(checked)).skip(Skip("not_verified", message))
        out = replace(shot, detections=kept)
        return out.with_metrics(dropped_not_verified=dropped) if dropped else out


def _share(row: np.ndarray, texts: list[str], mine: list[str], others: list[str]) -> float:
    """The softmax over `mine` and `others` that falls to `mine`, 0..1."""
    values = np.array([row[texts.index(t)] for t in (*mine, *others)], np.float64)
    weights = np.exp(values - values.max())
    return float(weights[: len(mine)].sum() / weights.sum())
