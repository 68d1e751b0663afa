"""Crop, feather and paste on small arrays, whatever the mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visuals.stages.regions import boxes, composite, metrics
from visuals.stages.regions import windows as crops


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
@given(masks(), st.integers(0, 6), st.integers(-3, 6), st.integers(0, 12), st.booleans())
def test_the_scene_outside_is_kept_and_the_inside_replaced(
    mask: np.ndarray, blur: int, grow: int, padding: int, buckets: bool
) -> None:
    source = picture(mask)
    one = crops.window(
        mask, dilate=grow, blur=blur, padding=padding, size_wh=(16, 16), step=8 if buckets else None
    )
    whole = composite.feather(composite.dilate(mask, grow), blur)
    if one is None:
        assert not whole.any()
        return
    x0, y0, x1, y1 = one.box
    assert 0 <= x0 < x1 <= mask.shape[1] and 0 <= y0 < y1 <= mask.shape[0]
    blend = np.zeros(mask.shape, np.float32)
    blend[one.rows_columns] = one.blend
    assert np.allclose(blend, whole, atol=1e-6)
    old = source[one.rows_columns]
    result = source.copy()
    result[one.rows_columns] = composite.mix(
        old, composite.resize(255 - old, one.size_wh), one.blend
    )
    assert metrics.changed_outside(source, result, blend) == 0
    assert np.array_equal(composite.mix(old, old, one.blend), old)


@settings(max_examples=60, deadline=None)
@given(st.lists(masks(), min_size=2, max_size=20))
def test_windows_that_overlap_take_turns(several: list[np.ndarray]) -> None:
    shape = max(m.shape for m in several)
    placed = []
    for mask in several:
        one = np.zeros(shape, bool)
        part = mask[: shape[0], : shape[1]]
        one[: part.shape[0], : part.shape[1]] = part
        placed.append(one)
    windows = [w for m in placed if (w := crops.window(m, blur=1, padding=2)) is not None]
    turns = crops.turns(windows)
    for a in range(len(windows)):
        for b in range(a):
            if windows[a].overlaps(windows[b]):
                assert turns[a] > turns[b]


@given(st.floats(0.05, 20), st.sampled_from([(512, 512), (1024, 768)]), st.sampled_from([8, 64]))
def test_a_bucket_keeps_the_area_and_the_step(
    aspect: float, size_wh: tuple[int, int], step: int
) -> None:
    width, height = crops.bucket(aspect, size_wh, step)
    assert width % step == 0 and height % step == 0
    assert 0.8 < width * height / (size_wh[0] * size_wh[1]) < 1.25
    assert width / height == pytest.approx(min(2, max(0.5, aspect)), rel=0.25)


def test_erosion_does_not_eat_from_the_picture_s_edge() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:, :10] = True
    assert composite.dilate(mask, -3)[:, :7].all() and not composite.dilate(mask, -3)[:, 7:].any()


def test_the_model_s_tint_is_taken_off() -> None:
    rng = np.random.default_rng(0)
    crop = rng.integers(60, 180, (64, 64, 3)).astype(np.uint8)
    blend = np.zeros((64, 64), bool)
    blend[20:44, 20:44] = True
    tinted = (crop + np.array([9, -5, 0])).astype(np.uint8)
    assert np.abs(composite.match_colours(tinted, crop, blend).astype(int) - crop).max() <= 1
    everywhere = np.ones((64, 64), bool)
    assert np.array_equal(composite.match_colours(tinted, crop, everywhere), tinted)


def test_a_hard_edge_is_a_worse_seam_than_a_soft_one() -> None:
    source = np.full((64, 64, 3), 120, np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[20:44, 20:44] = True
    scores = []
    for blur in (0, 2, 4):
        blend = composite.feather(mask, blur)
        result = composite.mix(source, source + 60, blend)
        scores.append(metrics.seam(source, result, blend))
    assert scores[0] > 2 * scores[1] > 2 * scores[2] > 0
    assert metrics.seam(source, source, composite.feather(mask, 2)) == 0


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
    assert metrics.changed_outside(source, result, blend) == 1


def test_the_crop_has_the_model_s_aspect_where_the_picture_has_room() -> None:
    x0, y0, x1, y1 = boxes.crop_box((90, 40, 130, 50), 5, (64, 64), (200, 100))
    assert x1 - x0 == y1 - y0 == 50
    assert x0 <= 85 and x1 >= 135


def test_edge_iou_is_one_for_equal_pictures_and_near_nothing_for_strangers() -> None:
    a = np.full((32, 32, 3), 40, np.uint8)
    a[8:24, 8:24] = 220
    b = np.full((32, 32, 3), 40, np.uint8)
    b[2:6, :] = 220
    everywhere = np.ones((32, 32), bool)
    assert metrics.edge_iou(a, a, everywhere) == 1.0
    assert metrics.edge_iou(a, b, everywhere) < 0.2


@pytest.mark.parametrize(
    "box", [(10, 10, 30, 20), (0, 0, 5, 40), (90, 60, 100, 80), (1, 2, 99, 79)]
)
def test_the_square_of_a_box_lies_in_the_picture_and_holds_the_box(box: tuple[int, ...]) -> None:
    x0, y0, x1, y1 = boxes.square_box(box, 0.2, (100, 80))  # type: ignore[arg-type]
    assert 0 <= x0 <= box[0] and 0 <= y0 <= box[1] and box[2] <= x1 <= 100 and box[3] <= y1 <= 80
    side = 1.4 * max(box[2] - box[0], box[3] - box[1])
    assert x1 - x0 == round(min(side, 100)) and y1 - y0 == round(min(side, 80))


def test_broad_colours_are_kept_and_details_are_new() -> None:
    rng = np.random.default_rng(3)
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    crop = np.full((64, 64, 3), (200, 40, 40), np.uint8)
    crop[~mask] = (0, 255, 0)  # what lies beside the product must not colour it
    detail = np.where(rng.random((64, 64, 1)) < 0.5, -12, 12)
    patch = (np.array((60, 80, 160)) + detail).astype(np.uint8)
    kept = composite.keep_colours(patch, crop, mask)
    assert np.abs(kept[mask].mean(0) - (200, 40, 40)).max() < 2
    assert np.abs(kept[mask] - kept[mask].mean(0) - detail[mask]).mean() < 4
    assert np.array_equal(kept[~mask], patch[~mask])
