"""Stage 2, segmentation: turns boxes into masks by a SAM of any generation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import adaptive_batching
from .accel import cpu_parallel, half_encoder, offload
from .regions.boxes import square_box
from .shot import Box, Shot, Skip
from .stage import Modules

_USUAL = 1024
"""Side in pixels of the picture by which memory is measured; SAMs scale every picture to it."""


@dataclass(frozen=True)
class _View:
    """A picture or a crop of it at `offset`, with boxes in its own pixels, as input for SAM."""

    shot: int
    image: np.ndarray
    boxes: list[list[float]]
    offset: tuple[int, int] = (0, 0)


class Segmenter:
    """Masks the detections that have no mask yet; drops tiny ones, and skips a shot that loses all.

    Args:
        model: a SAM, SAM-HQ, SAM 2 or SAM 3 tracker of transformers; None where the detector masks.
        processor: the model's.
        batch_size: pictures, or crops, in one call of the model.
        crop_padding: show each box alone, in the square round it padded by this share of its
            longer side: finer masks of small products, one encoding a box. None shows whole
            pictures, one encoding each.
        min_ratio: least share of the picture, 0..1, that a mask covers.
        encoder_dtype: float16 to encode pictures in it (SAM and SAM-HQ); None for the model's own.
        box_margin: how far a mask may leave its box, a share of the box's sides; what lies beyond
            belongs to another object.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        batch_size: int = 8,
        crop_padding: float | None = None,
        min_ratio: float = 0.002,
        box_margin: float = 0.05,
        encoder_dtype: Any = None,
    ) -> None:
        if encoder_dtype is None:
            half_encoder.remove(model)
        else:
            half_encoder.apply(model, encoder_dtype)
        self.model, self.processor = model, processor
        self.batch_size = batch_size
        self.crop_padding = crop_padding
        self.min_ratio = min_ratio
        self.box_margin = box_margin

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Detections of open shots get their masks, bool (H, W)."""
        return adaptive_batching.apply(
            shots,
            self._mask,
            where="segment",
            key=lambda s: s.image.shape if s.image is not None else None,
            stage=self,
        )

    def modules(self) -> Modules:
        """The segmenter, where there is one."""
        return {} if self.model is None else {"segment": [self.model]}

    def probe(self) -> None:
        """Run one blank picture through the model, whose memory is measured meanwhile."""
        blank = np.zeros((_USUAL, _USUAL, 3), np.uint8)
        self._predict([_View(0, blank, [[0.0, 0.0, _USUAL / 2, _USUAL / 2]])])

    def _mask(self, shots: list[Shot]) -> list[Shot]:
        views = [v for k, s in enumerate(shots) for v in self._views(k, s)]
        offload.wake(self.model)
        found: list[list[tuple[np.ndarray, float]]] = [[] for _ in shots]
        workers = cpu_parallel.workers(self._device, self.batch_size)
        parts = cpu_parallel.cut(views, self.batch_size, workers)
        for part, answers in zip(
            parts, cpu_parallel.each(self._predict, parts, workers), strict=True
        ):
            for view, masks in zip(part, answers, strict=True):
                found[view.shot] += [(_placed(m, view, shots[view.shot]), q) for m, q in masks]
        return [self._take(s, f) for s, f in zip(shots, found, strict=True)]

    @property
    def _device(self) -> Any:
        return "cpu" if self.model is None else self.model.device

    def _views(self, index: int, shot: Shot) -> list[_View]:
        image = shot.on_white
        if image is None:
            raise ValueError("a shot without a picture: expected one; run generate or load first")
        boxes = [d.box_xyxy for d in shot.detections if d.mask is None]
        if not boxes:
            return []
        if self.model is None:
            raise ValueError(
                "a box without a mask: expected a segmenter to mask it; set segment.model"
            )
        if self.crop_padding is None:
            return [_View(index, image, [list(b) for b in boxes])]
        views = []
        for box in boxes:
            size_wh = image.shape[1], image.shape[0]
            x0, y0, x1, y1 = square_box(box, self.crop_padding, size_wh)
            within = [box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0]
            views.append(_View(index, image[y0:y1, x0:x1], [within], (x0, y0)))
        return views

    def _predict(self, views: list[_View]) -> list[list[tuple[np.ndarray, float]]]:
        """For each view the mask bool (h, w) and score of each of its boxes."""
        import torch

        # ragged boxes are refused: the short lists are filled up with a copy of their first box
        most = max(len(v.boxes) for v in views)
        boxes = [v.boxes + [v.boxes[0]] * (most - len(v.boxes)) for v in views]
        inputs = self.processor(
            images=[v.image for v in views],
            input_boxes=boxes,
            return_tensors="pt",
            input_data_format="channels_last",
        )
        # SAM and SAM-HQ pad what they resize and must know by how much; SAM 2 and 3 do not pad
        sizes = [inputs[k] for k in ("original_sizes", "reshaped_input_sizes") if k in inputs]
        device = self.model.device
        with torch.inference_mode():
            out = self.model(
                pixel_values=inputs["pixel_values"].to(device),
                input_boxes=inputs["input_boxes"].to(device, torch.float32),
                multimask_output=False,
            )
        masks = self.processor.image_processor.post_process_masks(
            out.pred_masks.float().cpu(), *sizes, mask_threshold=0.0
        )
        scores = out.iou_scores.float().cpu()
        return [
            [(m[k, 0].numpy().astype(bool), float(q[k, 0])) for k in range(len(v.boxes))]
            for v, m, q in zip(views, masks, scores, strict=True)
        ]

    def _take(self, shot: Shot, masks: list[tuple[np.ndarray, float]]) -> Shot:
        new, done = iter(masks), []
        for detection in shot.detections:
            if detection.mask is None:
                whole, score = next(new)
                mask = _near(whole, detection.box_xyxy, self.box_margin)
                detection = replace(detection, mask=mask, mask_score=score)
            done.append(detection)
        found = [d for d in done if d.mask is not None and d.mask.mean() >= self.min_ratio]
        if not found:
            largest = max((float(d.mask.mean()) for d in done if d.mask is not None), default=0.0)
            return shot.skip(
                Skip(
                    "no_mask",
                    f"the largest mask covers {largest:.2%} of the picture, "
                    f"less than {self.min_ratio:.2%}",
                )
            )
        return replace(shot, detections=tuple(found))


def _placed(mask: np.ndarray, view: _View, shot: Shot) -> np.ndarray:
    """A view's mask in the shot's picture."""
    assert shot.image is not None
    out = np.zeros(shot.image.shape[:2], bool)
    x, y = view.offset
    out[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return out


def _near(mask: np.ndarray, box: Box, margin: float) -> np.ndarray:
    """The part of a mask that lies in its box, grown by `margin` of its size each way."""
    x0, y0, x1, y1 = box
    dx, dy = margin * (x1 - x0), margin * (y1 - y0)
    rows = slice(max(0, math.floor(y0 - dy)), math.ceil(y1 + dy))
    columns = slice(max(0, math.floor(x0 - dx)), math.ceil(x1 + dx))
    out = np.zeros_like(mask)
    out[rows, columns] = mask[rows, columns]
    return out
