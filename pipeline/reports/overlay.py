"""Overlays: a picture with the masks, boxes and scores of its detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ...stages.shot import Detection

COLORS = ((255, 64, 129), (41, 182, 246), (255, 179, 0), (102, 187, 106), (171, 71, 188))
"""Colors of the instances, in turn."""
TINT = 0.07
"""Share of an instance's color in its mask, so little that the product keeps its own."""
OUTSIDE = 0.65
"""Brightness of what lies outside the masks."""


def overlay(
    image: np.ndarray,
    detections: Sequence[Detection],
    *,
    longest: int = 768,
    labels: Sequence[str] | None = None,
    font_size: int = 0,
) -> np.ndarray:
    """Draw detections on a copy of a picture and dim what lies outside their masks.

    Args:
        image: uint8 (H, W, 3).
        detections: what to draw; one without a mask has its box only.
        longest: pixels of the longer side of the copy.
        labels: the text at each box, "" for none; by default number, class and score.
        font_size: in pixels of the copy; by default a 36th of the longer side.

    Returns:
        uint8 (h, w, 3).
    """
    import cv2
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    height, width = image.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    out = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    out = out.astype(np.float32)
    masks = [
        None
        if found.mask is None
        else cv2.resize(found.mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
        > 127
        for found in detections
    ]
    if any(mask is not None for mask in masks):
        out[~np.logical_or.reduce([mask for mask in masks if mask is not None])] *= OUTSIDE
    line = max(2, round(max(size) / 256))
    colors = [COLORS[k % len(COLORS)] for k in range(len(masks))]
    for mask, color in zip(masks, colors, strict=True):
        if mask is None:
            continue
        out[mask] = out[mask] * (1 - TINT) + np.array(color, np.float32) * TINT
        edge, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for edge_color, width in (((255, 255, 255), 2 * line), (color, line)):
            cv2.drawContours(out, edge, -1, edge_color, width, cv2.LINE_AA)
    drawn = Image.fromarray(np.rint(out).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(drawn)
    font_size = font_size or max(12, round(max(size) / 36))
    font = ImageFont.load_default(size=font_size)
    if labels is None:
        labels = [f"{k} {one.label} {one.score:.2f}" for k, one in enumerate(detections, 1)]
    for found, color, label in zip(detections, colors, labels, strict=True):
        x0, y0, x1, y1 = (v * scale for v in found.box_xyxy)
        if found.mask is None:
            pen.rectangle((x0, y0, x1, y1), outline=color, width=line)
        if not label:
            continue
        text = f" {label} "
        place = max(0, min(x0, size[0] - pen.textlength(text, font=font))), y0
        anchor = "ls" if y0 > 1.5 * font_size else "lt"
        pen.rectangle(pen.textbbox(place, text, font=font, anchor=anchor), fill=color)
        pen.text(place, text, "black", font, anchor=anchor)
    return np.asarray(drawn)
