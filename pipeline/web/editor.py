"""A mask as a layer that is painted over in the browser, and back. Arrays only.

The picture is shown enlarged or shrunk; only what was drawn is taken over, so that the rest of
the mask keeps its own pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SIDE = 640
"""Pixels of the editor's longer side."""
INK = (255, 64, 129, 150)


def layered(image: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """The editor's value: the picture uint8 (H, W, 3), below the mask as a layer of ink."""
    import cv2

    size = _size(mask)
    kind = cv2.INTER_AREA if size[0] < mask.shape[1] else cv2.INTER_CUBIC
    background = cv2.resize(image, size, interpolation=kind)
    layer = np.zeros((size[1], size[0], 4), np.uint8)
    layer[_scaled(mask, size)] = INK
    alpha = np.full((*background.shape[:2], 1), 255, np.uint8)
    return {"background": np.dstack([background, alpha]), "layers": [layer], "composite": None}


def painted(value: dict[str, Any], mask: np.ndarray) -> np.ndarray:
    """`mask`, bool (H, W), with what was drawn or erased in the editor's `value`."""
    import cv2

    size = _size(mask)
    drawn = np.zeros((size[1], size[0]), bool)
    for layer in value.get("layers") or ():
        alpha = np.asarray(layer)[..., 3]
        if alpha.shape != drawn.shape:
            alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
        drawn |= alpha > INK[3] // 3
    changed = drawn != _scaled(mask, size)
    height, width = mask.shape
    there = _scaled(changed, (width, height))
    return np.where(there, _scaled(drawn, (width, height)), mask)


def _size(mask: np.ndarray) -> tuple[int, int]:
    scale = SIDE / max(mask.shape)
    return max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))


def _scaled(mask: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """A mask at another size: on where at least half is."""
    import cv2

    shrink = size_wh[0] < mask.shape[1]
    kind = cv2.INTER_AREA if shrink else cv2.INTER_NEAREST
    return cv2.resize(mask.astype(np.uint8) * 255, size_wh, interpolation=kind) > 127
