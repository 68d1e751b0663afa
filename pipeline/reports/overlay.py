"""Overlays: a picture with the masks, boxes and scores of its detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ...stages.shot import Detection

COLORS = ((255, 64, 129), (41, 182, 246), (255, 179, 0), (102, 187, 106), (171, 71, 188))
"""Colors of the instances, in turn."""


def overlay(
    image: np.ndarray,
    detections: Sequence[Detection],
    *,
    longest: int = 768,
    numbers: Sequence[int] = (),
) -> np.ndarray:
    """Draw detections on a copy of a picture and dim what lies outside their masks.

    Args:
        image: uint8 (H, W, 3).
        detections: what to draw; one without a mask has its box only.
        longest: pixels of the longer side of the copy.
        numbers: the number of each detection; by default they count from 1.

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
        out[~np.logical_or.reduce([mask for mask in masks if mask is not None])] *= 0.5
    line = max(2, round(max(size) / 320))
    colors = [COLORS[k % len(COLORS)] for k in range(len(masks))]
    for mask, color in zip(masks, colors, strict=True):
        if mask is None:
            continue
        out[mask] = out[mask] * 0.72 + np.array(color, np.float32) * 0.28
        edge, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, edge, -1, color, line, cv2.LINE_AA)
    drawn = Image.fromarray(np.rint(out).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(size=max(12, round(max(size) / 36)))
    for k, (found, color) in enumerate(zip(detections, colors, strict=True)):
        x0, y0, x1, y1 = (v * scale for v in found.box_xyxy)
        pen.rectangle((x0, y0, x1, y1), outline=color, width=line)
        number = numbers[k] if k < len(numbers) else k + 1
        text = f" {number} {found.label} {found.score:.2f} "
        place = max(0, min(x0, size[0] - pen.textlength(text, font=font))), y0
        anchor = "ls" if y0 > 24 else "lt"
        pen.rectangle(pen.textbbox(place, text, font=font, anchor=anchor), fill=color)
        pen.text(place, text, "black", font, anchor=anchor)
    return np.asarray(drawn)
