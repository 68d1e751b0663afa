"""Pictures made harder: moved, scaled, mirrored, darkened, softened, with their boxes.

Softness matters most: at run time the models also see what a small diffusion model drew.
"""

from __future__ import annotations

import cv2
import numpy as np


def soften(image: np.ndarray, rng: np.random.Generator, coarsest: float = 3.0) -> np.ndarray:
    """Light, blur and noise, uint8 (H, W, 3); `coarsest`: how many times smaller it may get."""
    size = image.shape[0]
    x = image
    if rng.random() < 0.5:
        small = int(size / rng.uniform(1.2, coarsest))
        x = cv2.resize(x, (small, small), interpolation=cv2.INTER_AREA)
        x = cv2.resize(x, (size, size), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.5, 1.5))
    y = x.astype(np.float32)
    if rng.random() < 0.6:
        y = (y - 128) * rng.uniform(0.8, 1.2) + 128 + rng.uniform(-18, 18)
        y = y * rng.uniform(0.94, 1.06, 3).astype(np.float32)
    if rng.random() < 0.4:
        spot = rng.normal(0, rng.uniform(1, 10), (size // 2, size // 2, 3)).astype(np.float32)
        y = y + cv2.resize(spot, (size, size))
    return np.clip(y, 0, 255).astype(np.uint8)


def move(
    image: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The same random scale, shift and mirror for a picture (bilinear) and its instance map."""
    size = image.shape[0]
    k = rng.uniform(0.6, 1.2) if rng.random() < 0.7 else 1.0
    room = abs(1 - k) * size / 2
    tx, ty = rng.uniform(-room, room, 2) + (1 - k) * size / 2 if k != 1.0 else (0.0, 0.0)
    matrix = np.array([[k, 0, tx], [0, k, ty]])
    if rng.random() < 0.5:
        matrix = np.array([[-k, 0, size - 1 - tx], [0, k, ty]])
    if k != 1.0 or matrix[0, 0] < 0:
        flags, edge = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
        image = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=edge)
        labels = cv2.warpAffine(labels, matrix, (size, size), flags=cv2.INTER_NEAREST)
    return image, labels


def box_of(seen: np.ndarray) -> tuple[int, int, int, int] | None:
    """Tight box (x0, y0, x1, y1) of a bool (H, W) mask, or None."""
    ys, xs = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(ys):
        return None
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
