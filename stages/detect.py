"""Stage 2, where: a class's name to boxes, by Grounding DINO; or a skip with its reason.

One query a class, so that labels are never merged; pictures of one size go together, since
padding changes scores. Knows no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import batch
from .shot import Detection, Shot, Skip


class Detector:
    """`model`, `processor`: a Grounding DINO of transformers. Thresholds 0..1: `box_threshold` on
    a box's best token (A1111 extensions call it confidence), `text_threshold` on its words;
    boxes of one class that overlap by more than `nms_iou` count once.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        box_threshold: float = 0.35,
        text_threshold: float = 0.25,
        nms_iou: float = 0.5,
        batch_size: int = 8,
    ) -> None:
        self.model, self.processor = model, processor
        self.threshold = max(box_threshold, text_threshold)
        self.nms_iou = nms_iou
        self.batch_size = batch_size

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots get their `detections`, or are skipped as `no_detection`."""
        return batch.apply(
            shots,
            self._find,
            where="detect",
            key=lambda s: (s.image.shape if s.image is not None else None, s.classes),
            size=self.batch_size,
        )

    def _find(self, shots: list[Shot]) -> list[Shot]:
        images = [s.image for s in shots]
        if any(image is None for image in images):
            raise ValueError("a shot without a picture: expected one; run generate or load first")
        found: list[list[Detection]] = [[] for _ in shots]
        best: list[dict[str, float]] = [{} for _ in shots]
        for name in shots[0].classes:
            for k, (boxes, scores) in enumerate(self._query(images, name)):
                best[k][name] = float(scores.max(initial=0.0))
                found[k] += self._accept(boxes, scores, name, images[k].shape)  # type: ignore[union-attr]
        return [
            replace(shot, detections=tuple(sorted(f, key=lambda d: -d.score)))
            if f
            else shot.skip(Skip("no_detection", _absent(b, self.threshold)))
            for shot, f, b in zip(shots, found, best, strict=True)
        ]

    def _query(self, images: Sequence[Any], name: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Every query's box (n, 4) cxcywh in 0..1 and score (n,) for one class, an image each."""
        import torch

        text = name.lower().rstrip(". ") + "."
        inputs = self.processor(
            images=list(images), text=[text] * len(images), return_tensors="pt"
        ).to(self.model.device)
        with torch.inference_mode():
            out = self.model(**inputs)
        scores = out.logits.sigmoid().amax(-1).float().cpu().numpy()
        boxes = out.pred_boxes.float().cpu().numpy()
        return list(zip(boxes, scores, strict=True))

    def _accept(
        self, boxes: np.ndarray, scores: np.ndarray, name: str, shape: tuple[int, ...]
    ) -> list[Detection]:
        import torch
        from torchvision.ops import nms

        height, width = shape[:2]
        keep = scores > self.threshold
        c, half = boxes[keep, :2], boxes[keep, 2:] / 2
        scale = np.array([width, height, width, height], np.float32)
        xyxy = np.concatenate([c - half, c + half], 1).clip(0, 1) * scale
        kept = nms(torch.from_numpy(xyxy), torch.from_numpy(scores[keep]), self.nms_iou)
        out = []
        for i in kept.tolist():
            x0, y0, x1, y1 = (float(v) for v in xyxy[i])
            if x1 - x0 >= 1 and y1 - y0 >= 1:
                out.append(Detection((x0, y0, x1, y1), float(scores[keep][i]), name))
        return out


def _absent(best: dict[str, float], threshold: float) -> str:
    asked = " or ".join(repr(n) for n in best)
    return f"no {asked} above {threshold:g}; best {max(best.values(), default=0.0):.2f}"
