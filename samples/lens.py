"""What a camera does to a picture: depth of field, vignette, exposure, white balance, grain."""

from __future__ import annotations

import cv2
import numpy as np


def depth_of_field(
    image: np.ndarray, depth: np.ndarray, sharp: np.ndarray, focus: float, strength: float
) -> np.ndarray:
    """Blur what lies behind the focus, things in the picture left sharp.

    Args:
        image: float32 (H, W, 3).
        depth: float32 (H, W), camera distance.
        sharp: bool (H, W), the things; their colours do not run into the back.
        focus: Distance up to which everything is sharp.
        strength: Largest blur, standard deviation as a share of the side.
    """
    size = image.shape[0]
    weight = (~sharp).astype(np.float32)
    amount = np.clip((depth - focus) / (0.8 * focus), 0, 1) * weight
    out = image.copy()
    for low, high in ((0.0, 0.33), (0.33, 0.66), (0.66, 1.0)):
        sigma = strength * size * high
        kernel = (0, 0)
        total = cv2.GaussianBlur(weight, kernel, sigma)[..., None]
        blurred = cv2.GaussianBlur(image * weight[..., None], kernel, sigma) / np.maximum(
            total, 1e-3
        )
        mix = np.clip((amount - low) / (high - low), 0, 1)[..., None]
        out = out + (blurred - out) * mix
    return np.where(sharp[..., None], image, out).astype(np.float32)


def develop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A little vignette, exposure and white balance; float32 (H, W, 3) in 0..1, the same out."""
    size = image.shape[0]
    out = image * rng.uniform(0.94, 1.05) * rng.uniform(0.985, 1.015, 3).astype(np.float32)
    if rng.random() < 0.4:
        c = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
        fall = rng.uniform(0.02, 0.16) * (c[None] ** 2 + c[:, None] ** 2)
        out = out * (1 - fall)[..., None]
    return np.clip(out, 0, 1).astype(np.float32)
