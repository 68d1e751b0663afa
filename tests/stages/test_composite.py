"""Crop, feather and paste on small arrays, whatever the mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visuals.stages import composite


def masks() -> st.SearchStrategy[np.ndarray]:
    """Empty, full, one pixel, edge-touching boxes, scattered."""
    sides = st.tuples(st.integers(1, 40), st.integers(1, 40))

    def build(args: tuple[tuple[int, int], int, int, int, int, str]) -> np.ndarray:
        (h, w), a, b, c, d, kind = args
        mask = np.zeros((h, w), bool)
        if kind == "full":
            mask[:] = True
        elif kind == "pixel":
            mask[a % h, b % w] = True
        elif kind == "box":
            y0, y1 = sorted((a % h, c % h))
            x0, x1 = sorted((b % w, d % w))
            mask[y0 : y1 + 1, x0 : x1 + 1] = True
        elif kind == "scatter":
            mask[:] = np.random.default_rng(a).random((h, w)) < 0.2
        return mask

    number = st.integers(0, 1000)
    kinds = st.sampled_from(["empty", "full", "pixel", "box", "scatter"])
    return st.tuples(sides, number, number, number, number, kinds).map(build)


def picture(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*mask.shape, 3), np.uint8)


@settings(max_examples=200, deadline=None)
@given(masks(), st.integers(0, 6), st.integers(-3, 6), st.integers(0, 12))
def test_the_scene_outside_is_kept_and_the_inside_replaced(
    mask: np.ndarray, blur: int, grow: int, padding: int
) -> None:
    source = picture(mask)
    blend = composite.feather(composite.dilate(mask, grow), blur)
    assert blend.dtype == np.float32 and blend.min() >= 0 and blend.max() <= 1
    box = composite.crop_box(blend > 0, padding, (16, 16))
    if box is None:
        assert not (blend > 0).any()
        return
    x0, y0, x1, y1 = box
    assert 0 <= x0 < x1 <= mask.shape[1] and 0 <= y0 < y1 <= mask.shape[0]
    patch = 255 - composite.resize(source[y0:y1, x0:x1], (16, 16))
    result = composite.paste(source, patch, box, blend)
    assert composite.changed_outside(source, result, blend) == 0
    again = composite.paste(source, source[y0:y1, x0:x1], box, blend)
    assert np.array_equal(again, source)


@settings(max_examples=100, deadline=None)
@given(masks(), st.integers(1, 5))
def test_the_feather_ends_at_twice_the_blur(mask: np.ndarray, blur: int) -> None:
    blend = composite.feather(mask, blur)
    beyond = ~composite.dilate(mask, 4 * blur)
    assert (blend[beyond] == 0).all()


def test_changed_pixels_outside_are_counted() -> None:
    source = np.zeros((4, 4, 3), np.uint8)
    result = source.copy()
    result[0, 0, 1] = 9
    result[3, 3] = 200
    blend = np.zeros((4, 4), np.float32)
    blend[3, 3] = 0.5
    assert composite.changed_outside(source, result, blend) == 1


def test_the_crop_has_the_model_s_aspect_where_the_picture_has_room() -> None:
    mask = np.zeros((100, 200), bool)
    mask[40:50, 90:130] = True
    x0, y0, x1, y1 = composite.crop_box(mask, 5, (64, 64)) or (0, 0, 0, 0)
    assert x1 - x0 == y1 - y0 == 50
    assert x0 <= 85 and x1 >= 135


def test_edge_iou_is_one_for_equal_pictures_and_near_nothing_for_strangers() -> None:
    a = np.full((32, 32, 3), 40, np.uint8)
    a[8:24, 8:24] = 220
    b = np.full((32, 32, 3), 40, np.uint8)
    b[2:6, :] = 220
    everywhere = np.ones((32, 32), bool)
    assert composite.edge_iou(a, a, everywhere) == 1.0
    assert composite.edge_iou(a, b, everywhere) < 0.2


@pytest.mark.parametrize(
    "box", [(10, 10, 30, 20), (0, 0, 5, 40), (90, 60, 100, 80), (1, 2, 99, 79)]
)
def test_the_square_of_a_box_lies_in_the_picture_and_holds_the_box(box: tuple[int, ...]) -> None:
    x0, y0, x1, y1 = composite.square_box(box, 0.2, (100, 80))  # type: ignore[arg-type]
    assert 0 <= x0 <= box[0] and 0 <= y0 <= box[1] and box[2] <= x1 <= 100 and box[3] <= y1 <= 80
    side = 1.4 * max(box[2] - box[0], box[3] - box[1])
    assert x1 - x0 == round(min(side, 100)) and y1 - y0 == round(min(side, 80))
