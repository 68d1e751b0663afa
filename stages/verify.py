"""Stage 2, verification: a second model looks at each detection's crop.

A CLIP compares it with a sentence for each phrase (zero-shot classification); an image classifier
says which of its labels it is, and so also that it is none of those asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
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
    against its reject phrases and the shot's other classes; of a classifier's, against all its
    other labels, and None where it has no label for the class: such a detection stays.

    Args:
        model: a CLIP or an image classifier of transformers.
        processor: the model's.
        classes: phrases and reject phrases, by class.
        threshold: least `verify_score`, 0..1.
        relabel: whether a detection takes another of the shot's classes where that class's score
            is the highest, at least `threshold` and one half.
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
        relabel: bool = False,
        padding: float = 0.1,
        batch_size: int = 8,
    ) -> None:
        self.model, self.processor = model, processor
        self.classes = dict(classes or {})
        self.threshold, self.relabel = threshold, relabel
        self.padding = padding
        self.batch_size = batch_size

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots' detections get their `verify_score`, or the shot is `not_verified`."""
        return adaptive_batching.apply(
            shots, self._check, where="verify", key=lambda s: s.classes, stage=self
        )

    def modules(self) -> Modules:
        """The CLIP or the classifier."""
        return {"verify": [self.model]}

    def _check(self, shots: list[Shot]) -> list[Shot]:
        tried = [(k, d) for k, shot in enumerate(shots) for d in shot.detections]
        names = dict.fromkeys([*shots[0].classes, *(d.label for _, d in tried)])
        asked = specs_of(names, self.classes)
        images = [shot.on_white for shot in shots]
        crops = [self._crop(images[k], d) for k, d in tried]
        reads_text = hasattr(self.processor, "tokenizer")
        scores = (self._compare if reads_text else self._classify)(crops, asked)
        checked: list[list[Detection]] = [[] for _ in shots]
        for (k, d), row in zip(tried, scores, strict=True):
            checked[k].append(self._judged(d, dict(zip(names, row.tolist(), strict=True))))
        return [self._take(s, c) for s, c in zip(shots, checked, strict=True)]

    def _judged(self, found: Detection, scores: dict[str, float]) -> Detection:
        """A detection with its score, or with another class where that is the likelier one."""
        best = max(scores, key=lambda name: np.nan_to_num(scores[name]))
        if self.relabel and scores[best] >= max(0.5, self.threshold):
            found = replace(found, label=best)
        score = scores[found.label]
        return replace(found, verify_score=None if np.isnan(score) else score)

    def _compare(self, crops: list[np.ndarray], asked: list[ClassSpec]) -> np.ndarray:
        """A CLIP's scores, float (crops, asked)."""
        mine = [[TEMPLATE.format(p) for p in spec.queries] for spec in asked]
        others = [[TEMPLATE.format(p) for p in competitors(spec, asked)] for spec in asked]
        texts = list(dict.fromkeys(chain(*mine, *others, [NOTHING])))
        logits = self._logits(crops, texts)
        columns = [
            _share(logits, [texts.index(t) for t in a], [texts.index(t) for t in b or [NOTHING]])
            for a, b in zip(mine, others, strict=True)
        ]
        return np.stack(columns, 1)

    def _classify(self, crops: list[np.ndarray], asked: list[ClassSpec]) -> np.ndarray:
        """A classifier's scores, float (crops, asked); NaN for a class that it has no label for."""
        labels = self.model.config.id2label
        known = [{n.strip().lower() for n in labels[k].split(",")} for k in range(len(labels))]
        logits = self._logits(crops)
        columns = []
        for spec in asked:
            mine = [k for k, names in enumerate(known) if names & {q.lower() for q in spec.queries}]
            others = [k for k in range(len(known)) if k not in mine]
            columns.append(_share(logits, mine, others) if mine else np.full(len(crops), np.nan))
        return np.stack(columns, 1)

    def _crop(self, image: np.ndarray | None, found: Detection) -> np.ndarray:
        if image is None:
            raise ValueError("a shot without a picture: expected one; run generate or load first")
        size_wh = image.shape[1], image.shape[0]
        x0, y0, x1, y1 = square_box(found.box_xyxy, self.padding, size_wh)
        return image[y0:y1, x0:x1]

    def _logits(self, crops: list[np.ndarray], texts: list[str] | None = None) -> np.ndarray:
        """Float (crops, texts): scaled likeness of each crop and text; (crops, labels) without."""
        import torch

        words = {"text": texts, "padding": True, "truncation": True} if texts else {}
        rows = [np.zeros((0, len(texts) if texts else self.model.config.num_labels), np.float32)]
        offload.wake(self.model)
        for start in range(0, len(crops), self.batch_size):
            inputs = self.processor(
                images=crops[start : start + self.batch_size],
                return_tensors="pt",
                input_data_format="channels_last",
                **words,
            ).to(self.model.device)
            with torch.inference_mode():
                out = self.model(**inputs)
            rows.append((out.logits_per_image if texts else out.logits).float().cpu().numpy())
        return np.concatenate(rows)

    def _take(self, shot: Shot, checked: list[Detection]) -> Shot:
        def doubted(d: Detection) -> bool:
            return d.verify_score is not None and d.verify_score < self.threshold

        kept = tuple(d for d in checked if not doubted(d))
        dropped = len(checked) - len(kept)
        if not kept:
            best = max(checked, key=lambda d: d.verify_score or 0.0, default=None)
            what = f"best {best.label!r} {best.verify_score:.2f}" if best else "nothing found"
            message = (
                f"on a second look nothing is like {' or '.join(shot.classes)}; {what}, "
                f"verify.threshold {self.threshold:g}"
            )
            return replace(shot, detections=tuple(checked)).skip(Skip("not_verified", message))
        out = replace(shot, detections=kept)
        return out.with_metrics(dropped_not_verified=dropped) if dropped else out


def _share(logits: np.ndarray, mine: list[int], others: list[int]) -> np.ndarray:
    """The softmax over the columns `mine` and `others` that falls to `mine`, 0..1, (rows,)."""
    values = logits[:, [*mine, *others]].astype(np.float64)
    weights = np.exp(values - values.max(1, keepdims=True, initial=-np.inf))
    share: np.ndarray = weights[:, : len(mine)].sum(1) / weights.sum(1)
    return share
