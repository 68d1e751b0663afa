"""Stage 2, which pixels: boxes to masks, by SAM. Each picture is encoded once. Knows no files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import batch
from .shot import Box, Shot, Skip


class Segmenter:
    """`model`, `processor`: a SAM of transformers. A mask may leave its box by `box_margin` of the
    box's size, no farther: what lies beyond is another thing. A detection whose mask covers less
    than `min_ratio` of the picture is dropped; a shot that loses all of them is skipped.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        batch_size: int = 8,
        min_ratio: float = 0.002,
        box_margin: float = 0.05,
    ) -> None:
        self.model, self.processor = model, processor
        self.batch_size = batch_size
        self.min_ratio = min_ratio
        self.box_margin = box_margin

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Detections of open shots get their masks, bool (H, W)."""
        return batch.apply(
            shots,
            self._mask,
            where="segment",
            key=lambda s: s.image.shape if s.image is not None else None,
            size=self.batch_size,
        )

    def _mask(self, shots: list[Shot]) -> list[Shot]:
        import torch

        # ragged boxes are refused: the short lists are filled up with a copy of their first box
        most = max(len(s.detections) for s in shots)
        boxes = []
        for shot in shots:
            own = [list(d.box_xyxy) for d in shot.detections]
            boxes.append(own + [own[0]] * (most - len(own)))
        inputs = self.processor(
            images=[s.image for s in shots], input_boxes=boxes, return_tensors="pt"
        )
        sizes, reshaped = inputs["original_sizes"], inputs["reshaped_input_sizes"]
        device = self.model.device
        with torch.inference_mode():
            out = self.model(
                pixel_values=inputs["pixel_values"].to(device),
                input_boxes=inputs["input_boxes"].to(device, torch.float32),
                multimask_output=False,
            )
        masks = self.processor.image_processor.post_process_masks(
            out.pred_masks.float().cpu(), sizes, reshaped, mask_threshold=0.0
        )
        scores = out.iou_scores.float().cpu()
        return [
            self._take(s, m[:, 0].numpy(), q) for s, m, q in zip(shots, masks, scores, strict=True)
        ]

    def _take(self, shot: Shot, masks: Any, scores: Any) -> Shot:
        found = []
        for k, detection in enumerate(shot.detections):
            mask = _near(masks[k].astype(bool), detection.box_xyxy, self.box_margin)
            if mask.mean() >= self.min_ratio:
                found.append(replace(detection, mask=mask, mask_score=float(scores[k, 0])))
        if not found:
            largest = max(float(m.mean()) for m in masks)
            return shot.skip(
                Skip(
                    "no_mask",
                    f"the largest mask covers {largest:.2%} of the picture, "
                    f"less than {self.min_ratio:.2%}",
                )
            )
        return replace(shot, detections=tuple(found))


def _near(mask: np.ndarray, box: Box, margin: float) -> np.ndarray:
    """The part of a mask that lies in its box, grown by `margin` of its size each way."""
    x0, y0, x1, y1 = box
    dx, dy = margin * (x1 - x0), margin * (y1 - y0)
    rows = slice(max(0, math.floor(y0 - dy)), math.ceil(y1 + dy))
    columns = slice(max(0, math.floor(x0 - dx)), math.ceil(x1 + dx))
    out = np.zeros_like(mask)
    out[rows, columns] = mask[rows, columns]
    return out
