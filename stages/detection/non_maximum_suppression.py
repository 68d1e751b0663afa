"""Non-maximum suppression: of overlapping detections the best one is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..regions.boxes import iou
from ..shot import Detection


def suppress(boxes: np.ndarray, scores: np.ndarray, least: float, max_iou: float) -> np.ndarray:
    """Return the indices of the boxes that remain within a class, by falling score.

    Args:
        boxes: (N, 4), x0, y0, x1, y1 in pixels.
        scores: (N,).
        least: Boxes that do not score more are dropped, as are those under a pixel.
        max_iou: Overlap above which the lower box is dropped.
    """
    import torch
    from torchvision.ops import nms

    size = boxes[:, 2:] - boxes[:, :2]
    able = np.flatnonzero((scores > least) & (size >= 1).all(1))
    kept = nms(torch.from_numpy(boxes[able]), torch.from_numpy(scores[able]), max_iou)
    return able[kept.numpy()]


def suppress_across_classes(
    found: Sequence[Detection], max_iou: float | None
) -> Sequence[Detection]:
    """Drop detections that a better one of another class covers.

    Args:
        found: By falling score.
        max_iou: Overlap from which they cover each other; None drops nothing.
    """
    if max_iou is None or len({d.label for d in found}) < 2:
        return found
    boxes = np.array([d.box_xyxy for d in found], np.float32)
    labels = np.array([d.label for d in found])
    covered = (iou(boxes, boxes) >= max_iou) & (labels[:, None] != labels)
    kept = np.zeros(len(found), bool)
    for i in range(len(found)):
        kept[i] = not (covered[i] & kept).any()
    return [d for d, keep in zip(found, kept, strict=True) if keep]
