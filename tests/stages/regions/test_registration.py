"""A redrawn window is laid over its source, or known to have moved too far."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from visuals.pipeline.images.read import read_image
from visuals.stages.regions.registration import register

PHOTOS = sorted((Path(__file__).resolve().parents[3] / "samples" / "photos").glob("*.jpg"))
SIDE = 512


def window(photo: Path) -> np.ndarray:
    return cv2.resize(read_image(photo).rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def mask() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return (x / 128) ** 2 + (y / 154) ** 2 < 1


def edited(image: np.ndarray, zoom: float, dx: float, dy: float) -> np.ndarray:
    """As an edit model gives it back: recoloured inside the mask, tinted, noisy, moved."""
    gain = np.where(mask()[..., None], [0.4, 1.1, 0.5], 0.95)
    noise = np.random.default_rng(0).normal(8, 4, image.shape)
    changed = (image * gain + noise).clip(0, 255).astype(np.uint8)
    half = (1 - zoom) * SIDE / 2
    warp = np.array([[zoom, 0, dx + half], [0, zoom, dy + half]])
    how = {"flags": cv2.INTER_LANCZOS4, "borderMode": cv2.BORDER_REFLECT}
    return cv2.warpAffine(changed, warp, (SIDE, SIDE), **how)


@pytest.mark.parametrize("photo", PHOTOS[:3], ids=lambda path: path.stem)
def test_what_moved_a_little_is_laid_over_its_source(photo: Path) -> None:
    image = window(photo)
    inner = (slice(16, -16),) * 2
    still = edited(image, 1, 0, 0)
    for zoom, dx, dy in ((1.0, 3.5, -2.0), (1.01, -2.0, 1.0)):
        moved = edited(image, zoom, dx, dy)
        laid, off = register(moved, image, mask())
        assert off == 0
        before, after = (
            np.abs(x[inner].astype(float) - still[inner]).mean() for x in (moved, laid)
        )
        assert after < before and after < 4.5, (zoom, before, after)


def test_what_is_in_place_is_not_resampled() -> None:
    image = window(PHOTOS[0])
    there = edited(image, 1, 0, 0)
    laid, off = register(there, image, mask())
    assert off == 0 and laid is there


def test_what_moved_far_and_what_is_another_picture_stay_as_they_are() -> None:
    image = window(PHOTOS[0])
    far = edited(image, 1, 12, 0)
    laid, off = register(far, image, mask())
    assert laid is far and off == pytest.approx(12, abs=1)
    noise = np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)
    for other in (noise, np.full_like(image, 128)):
        assert register(other, image, mask()) == (other, None)
