"""Control maps: what holds the shape of a re-render. Knows arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CannyControl:
    """Canny edges of a crop. `low`, `high`: OpenCV's hysteresis thresholds, 0 to 255."""

    low: int = 100
    high: int = 200

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) RGB to uint8 (H, W, 3), 255 on an edge."""
        import cv2

        edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), self.low, self.high)
        return np.repeat(edges[..., None], 3, axis=2)
