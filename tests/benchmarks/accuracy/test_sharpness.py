"""Crispness and evenness of pictures whose values are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from visuals.benchmarks.accuracy import sharpness


@pytest.fixture
def picture() -> tuple[np.ndarray, np.ndarray]:
    """A striped square on a backdrop that darkens to one side, and the square's mask."""
    light = np.linspace(0.7, 1, 96)[None, :, None]
    rgb = np.broadcast_to(np.array((90, 160, 170)) * light, (96, 96, 3)).astype(np.uint8)
    mask = np.zeros((96, 96), bool)
    mask[36:60, 36:60] = True
    stripes = np.where(np.arange(96) // 4 % 2, 40, 220).astype(np.uint8)
    return np.where(mask[..., None], stripes[None, :, None], rgb), mask


def test_a_blurred_product_is_less_sharp(picture: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, mask = picture
    crisp = sharpness.gradient(rgb, mask)
    assert sharpness.gradient(cv2.GaussianBlur(rgb, (0, 0), 2), mask) < 0.5 * crisp
    beside = np.where(mask[..., None], rgb, np.random.default_rng(0).integers(0, 255, rgb.shape))
    assert sharpness.gradient(beside, mask) < 1.6 * crisp  # what lies beside hardly counts


def test_a_blotch_shows_and_falling_light_does_not(picture: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, mask = picture
    assert sharpness.blotches(rgb, mask) < 1.5
    spot = np.zeros((96, 96, 1), np.float32)
    spot[4:24, 4:24] = 1
    green = cv2.GaussianBlur(spot, (0, 0), 4)[..., None] * (-30, 30, -30)
    assert sharpness.blotches((rgb + green).clip(0, 255).astype(np.uint8), mask) > 8
    inside = np.where(mask[..., None], (255, 0, 0), rgb).astype(np.uint8)
    assert sharpness.blotches(inside, mask) == sharpness.blotches(rgb, mask)
    assert sharpness.backdrop(np.ones((8, 8), bool)).sum() == 0
