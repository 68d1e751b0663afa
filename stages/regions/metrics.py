"""Metrics of a re-render: changed pixels outside, seam visibility, edge preservation."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ..shot import Shot, on_white
from . import boxes, composite


def measured(shot: Shot) -> Shot:
    """The shot with `changed_outside`, `edge_iou` and `seam` of its result, and, where its source
    has 16 bits a sample, with `result16`."""
    assert shot.image is not None and shot.result is not None and shot.blend is not None
    image, result, blend = shot.image, shot.result, shot.blend
    changed = changed_outside(image, result, blend)
    if shot.image16 is not None:
        result16 = composite.deepen(shot.image16, image, result, blend)
        changed = changed_outside(shot.image16, result16, blend)
        shot = replace(shot, result16=result16)
    near = _surroundings(blend, 3)
    alpha = None if shot.alpha is None else shot.alpha[near]
    image, result = (on_white(pixels[near], alpha) for pixels in (image, result))
    blend = blend[near]
    mask = None if shot.mask is None else shot.mask[near]
    return shot.with_metrics(
        changed_outside=changed,
        edge_iou=round(edge_iou(image, result, mask), 4),
        seam=round(seam(image, result, blend), 3),
    )


def _surroundings(blend: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of a blend and `margin` pixels round it; all, if it is empty."""
    box = boxes.mask_box(blend)
    if box is None:
        return slice(None), slice(None)
    x0, y0, x1, y1 = boxes.grown(box, margin, (blend.shape[1], blend.shape[0]))
    return slice(y0, y1), slice(x0, x1)


def changed_outside(source: np.ndarray, result: np.ndarray, blend: np.ndarray) -> int:
    """How many pixels differ where the blend is 0."""
    return int(((source != result).any(-1) & (blend == 0)).sum())


def seam(source: np.ndarray, result: np.ndarray, blend: np.ndarray) -> float:
    """How much steeper the result is than the source along the edge of the blend, levels 0..255.

    Mean over the pixels within two of where the blend starts of the Sobel gradient's growth, its
    fall counted as nothing; 0 is a seam that cannot be seen.
    """
    brush = np.ones((3, 3), np.uint8)
    inside = (blend > 0).astype(np.uint8)
    edge = (cv2.dilate(inside, brush) > 0) & (cv2.erode(inside, brush, iterations=2) == 0)
    if not edge.any():
        return 0.0
    steep = []
    for picture in (source, result):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        steep.append(np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)) / 4)
    return float((steep[1] - steep[0])[edge].clip(0).mean())


def edge_iou(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None) -> float:
    """Overlap of the Canny edges of two uint8 (H, W, 3) pictures inside a mask, 0..1.

    An edge counts as met when the other picture has one within one pixel; 1 where neither has any.
    """
    if mask is None or not mask.any():
        return 1.0
    brush = np.ones((3, 3), np.uint8)
    edges = [cv2.Canny(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), 60, 140) > 0 for x in (a, b)]
    near = [cv2.dilate(e.astype(np.uint8), brush) > 0 for e in edges]
    met = (edges[0] & near[1] & mask).sum() + (edges[1] & near[0] & mask).sum()
    everything = (edges[0] & mask).sum() + (edges[1] & mask).sum()
    if everything == 0:
        return 1.0
    return float(met / (2 * everything - met))
