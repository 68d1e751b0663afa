"""How crisp a product is drawn, and how even the backdrop beside it. Pure arithmetic on arrays."""

from __future__ import annotations

import cv2
import numpy as np

from . import color_metrics


def gradient(rgb: np.ndarray, mask: np.ndarray) -> float:
    """Mean steepness of L* in a mask, in CIELAB units a pixel.

    rgb uint8 (H, W, 3); mask bool (H, W), not empty.
    """
    light = color_metrics.lab(rgb)[..., 0]
    down, across = np.gradient(light)
    return float(np.hypot(down, across)[mask].mean())


def backdrop(mask: np.ndarray) -> np.ndarray:
    """What is well beside a product, bool (H, W): farther from it than a 16th of the picture;
    where that is nothing, all that is beside it."""
    side = 2 * (max(mask.shape) // 16) + 1
    far = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) == 0
    return far if far.any() else ~mask


def blotches(rgb: np.ndarray, mask: np.ndarray) -> float:
    """The largest broad deviation of the backdrop's hue from a plane, in CIELAB units of a*, b*.

    Broad is what a Gaussian of a 24th of the picture leaves; light may fall off, hue may not.
    """
    far = backdrop(mask)
    weight = far.astype(np.float64)
    sigma = max(mask.shape) / 24
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-6)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] / max(mask.shape)
    plane = np.stack([np.ones_like(x), x, y], -1)[far]
    distances = np.zeros(int(far.sum()))
    for channel in np.moveaxis(color_metrics.lab(rgb)[..., 1:], -1, 0):
        broad = (cv2.GaussianBlur(channel * weight, (0, 0), sigma) / share)[far]
        fit, *_ = np.linalg.lstsq(plane, broad, rcond=None)
        distances += np.square(broad - plane @ fit)
    return float(np.sqrt(distances.max()))
