"""Mask options: arithmetic on small arrays, and what must hold of any mask whatever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visuals.configs.detect import MaskSettings
from visuals.stages.mask import MaskFilter
from visuals.stages.regions import mask_ops
from visuals.stages.shot import Detection, FileInput, Shot


def drawn(*rows: str) -> np.ndarray:
    """A mask from rows of `#` and `.`."""
    return np.array([[c == "#" for c in row] for row in rows])


def found(mask: np.ndarray, score: float = 0.5, label: str = "mug") -> Detection:
    return Detection(
        mask_ops.bounds(mask) or (0.0, 0.0, 1.0, 1.0),
        score,
        label,
        mask,
        mask_score=score,
        verify_score=score,
    )


def shot(*detections: Detection) -> Shot:
    image = np.zeros((*mask_ops.mask_of(detections[0]).shape, 3), np.uint8)
    source = FileInput("a.png", 1)
    return Shot("a", source, ("mug",), image=image, detections=tuple(detections))


@st.composite
def any_mask(draw: Any, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Empty, full, one pixel, touching any edge, a rectangle or noise; 1 to 24 pixels a side."""
    side = st.integers(1, 24)
    height, width = shape or (draw(side), draw(side))
    mask = np.zeros((height, width), bool)
    kind = draw(st.sampled_from(("empty", "full", "pixel", "box", "frame", "noise")))
    y0, x0 = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    y1, x1 = draw(st.integers(y0, height - 1)), draw(st.integers(x0, width - 1))
    if kind == "full":
        mask[:] = True
    elif kind == "pixel":
        mask[y0, x0] = True
    elif kind == "box":
        mask[y0 : y1 + 1, x0 : x1 + 1] = True
    elif kind == "frame":
        mask[[0, -1]] = mask[:, [0, -1]] = True
    elif kind == "noise":
        seed = draw(st.integers(0, 99))
        mask = np.random.default_rng(seed).random((height, width)) < draw(st.floats(0, 1))
    return mask


def test_offset_goes_right_and_up_and_does_not_come_back() -> None:
    mask = drawn("#..", "...", "..#")
    assert np.array_equal(mask_ops.offset(mask, 1, 0), drawn(".#.", "...", "..."))
    assert np.array_equal(mask_ops.offset(mask, 0, 1), drawn("...", "..#", "..."))
    assert not mask_ops.offset(mask, 3, 0).any() and not mask_ops.offset(mask, 0, -7).any()


def test_dilate_and_erode_are_round_and_spare_the_picture_s_edge() -> None:
    grown = mask_ops.dilate_erode(drawn(".....", ".....", "..#..", ".....", "....."), 1)
    assert np.array_equal(grown, drawn(".....", "..#..", ".###.", "..#..", "....."))
    cut_off = drawn("##...", "##...", "##...")
    assert np.array_equal(mask_ops.dilate_erode(cut_off, -1), drawn("#....", "#....", "#...."))


def test_holes_are_filled_by_size_and_a_gap_at_the_edge_is_none() -> None:
    mask = drawn("#######", "#.#...#", "###...#", "#.#####", "#.#####")
    filled = mask_ops.fill_holes(mask, True)
    assert np.array_equal(filled, drawn("#######", "#######", "#######", "#.#####", "#.#####"))
    small = mask_ops.fill_holes(mask, 2 / int(mask.sum()))
    assert small[1, 1] and not small[1, 4]


def test_islands_smaller_than_a_share_of_the_largest_go() -> None:
    mask = drawn("###..", "###.#", "....#", "#....")
    assert np.array_equal(
        mask_ops.drop_islands(mask, 0.3), drawn("###..", "###.#", "....#", ".....")
    )
    assert np.array_equal(mask_ops.drop_islands(mask, 1), drawn("###..", "###..", ".....", "....."))


def test_smoothing_takes_a_spur_off_and_keeps_the_bulk() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    rough = mask.copy()
    rough[20, 30:36] = True
    smooth = mask_ops.smooth(rough, 2)
    assert not smooth[20, 32:].any() and smooth[12:28, 12:28].all()


def test_the_ratio_is_the_mask_s_and_not_the_box_s() -> None:
    diagonal = found(np.eye(10, dtype=bool))  # its box is the whole picture
    assert mask_ops.by_ratio([diagonal], 0.05, 0.2) == [diagonal]
    assert mask_ops.by_ratio([diagonal], 0.2, 1.0) == []


def three() -> tuple[Detection, Detection, Detection]:
    large = found(drawn("....##", "....##", "......"), 0.4)
    middle = found(drawn("......", "..#...", "......"), 0.9)
    left = found(drawn("#.....", "#.....", "#....."), 0.6)
    return large, middle, left


def test_top_k_and_order() -> None:
    large, middle, left = three()
    assert mask_ops.top_k(three_ := [middle, left, large], 2, "area") == [left, large]
    assert mask_ops.top_k(three_, 1, "confidence") == [middle]
    assert mask_ops.top_k(three_, 0) == three_
    assert mask_ops.ordered(three_, "left-to-right") == [left, middle, large]
    assert mask_ops.ordered(three_, "center-to-edge") == [middle, large, left]
    assert mask_ops.ordered(three_, "area") == [large, left, middle]
    assert mask_ops.ordered(three_) == three_


def test_merge_keeps_a_common_label_only() -> None:
    large, middle, left = three()
    (same,) = mask_ops.merge([large, middle, left])
    assert (same.label, same.score, same.mask_score) == ("mug", 0.9, 0.4)
    assert mask_ops.mask_of(same).sum() == 8 and same.box_xyxy == (0.0, 0.0, 6.0, 3.0)
    other = found(left.mask, label="car")  # type: ignore[arg-type]
    assert mask_ops.merge([large, other])[0].label == "merged"
    (scene,) = mask_ops.invert([large, left])
    assert scene.label == "scene"
    assert np.array_equal(
        mask_ops.mask_of(scene), ~(mask_ops.mask_of(large) | mask_ops.mask_of(left))
    )


def test_an_erased_mask_takes_its_own_detection_along() -> None:
    thin = found(drawn("#....", "#....", "#....", "#....", "#....")[:, ::-1], 0.9, "thin")
    thick = found(drawn("###..", "###..", "###..", "###..", "###.."), 0.4, "thick")
    (done,) = MaskFilter(MaskSettings(dilate_erode=-1))([shot(thin, thick)])
    assert [d.label for d in done.detections] == ["thick"]
    assert mask_ops.mask_of(done.detections[0]).sum() == 10
    assert done.metrics == {"dropped_eroded": 1}


def test_a_shot_without_masks_left_is_skipped_with_numbers() -> None:
    large, middle, left = three()
    (small,) = MaskFilter(MaskSettings(mask_max_ratio=0.01))([shot(large, middle)])
    assert small.reason is not None and small.reason.code == "mask_ratio"
    assert "2 outside 0 to 0.01 of the picture (0.222, 0.0556)" in small.reason.message
    (mixed,) = MaskFilter(MaskSettings(mask_min_ratio=0.1, dilate_erode=-2))(
        [shot(large, middle, left)]
    )
    assert mixed.reason is not None and mixed.reason.code == "no_mask"
    assert "1 outside 0.1 to 1" in mixed.reason.message
    assert "2 eroded away by 2 px" in mixed.reason.message
    assert mixed.metrics == {"dropped_mask_ratio": 1, "dropped_eroded": 2}
    full = found(np.ones((4, 4), bool))
    (nothing,) = MaskFilter(MaskSettings(merge_invert="merge_and_invert"))([shot(full)])
    assert nothing.reason is not None and "cover all of the picture" in nothing.reason.message


def test_steps_come_in_adetailer_s_order() -> None:
    """Ratio before growing, top-k before sorting: growing would let the small ones pass."""
    large, middle, left = three()
    stage = MaskFilter(
        MaskSettings(
            mask_min_ratio=0.1, mask_k=2, sort="left-to-right", dilate_erode=1, merge_invert="none"
        )
    )
    (done,) = stage([shot(middle, large, left)])
    assert [d.score for d in done.detections] == [left.score, large.score]
    assert mask_ops.mask_of(done.detections[1]).sum() > mask_ops.mask_of(large).sum()
    x0, y0, x1, y1 = done.detections[1].box_xyxy
    assert (x0, y0, x1, y1) == (3.0, 0.0, 6.0, 3.0)  # the box follows the mask


def test_a_detection_without_a_mask_fails_its_shot_alone() -> None:
    bare = Detection((0.0, 0.0, 2.0, 2.0), 0.5, "mug")
    good = shot(found(np.ones((4, 4), bool)))
    bad = Shot("b", good.source, ("mug",), image=good.image, detections=(bare,))
    done, failed = MaskFilter(MaskSettings(mask_k=1))([good, bad])
    assert done.open and failed.failure is not None
    assert "run segment first" in failed.failure.message


@settings(max_examples=150, deadline=None)
@given(any_mask(), st.integers(-30, 30), st.integers(-30, 30))
def test_offset_moves_each_pixel_or_loses_it(mask: np.ndarray, x: int, y: int) -> None:
    moved = mask_ops.offset(mask, x, y)
    height, width = mask.shape
    expected = {
        (r - y, c + x)
        for r, c in np.argwhere(mask).tolist()
        if 0 <= r - y < height and 0 <= c + x < width
    }
    assert {(r, c) for r, c in np.argwhere(moved).tolist()} == expected


@settings(max_examples=150, deadline=None)
@given(any_mask(), st.integers(-6, 6))
def test_growing_and_shrinking_are_by_distance(mask: np.ndarray, pixels: int) -> None:
    changed = mask_ops.dilate_erode(mask, pixels)
    side = mask if pixels > 0 else ~mask
    spots = np.argwhere(side)
    reached = np.zeros_like(mask)
    for r, c in np.ndindex(*mask.shape):
        reached[r, c] = len(spots) and (((spots - (r, c)) ** 2).sum(1) <= pixels**2).any()
    assert np.array_equal(changed, reached if pixels > 0 else ~reached)


@settings(max_examples=150, deadline=None)
@given(any_mask(), st.floats(0, 1), st.booleans(), st.integers(0, 5))
def test_repairs_keep_shape_and_type(
    mask: np.ndarray, share: float, every: bool, sigma: int
) -> None:
    before = mask.copy()
    filled = mask_ops.fill_holes(mask, True if every else share)
    kept = mask_ops.drop_islands(mask, share)
    smooth = mask_ops.smooth(mask, sigma)
    for made in (filled, kept, smooth):
        assert made.dtype == bool and made.shape == mask.shape
    assert np.array_equal(mask, before)
    assert (filled >= mask).all() and (kept <= mask).all() and kept.any() == mask.any()
    if not mask.any():
        assert not smooth.any()


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "mask_min_ratio": st.floats(0, 0.5),
        "mask_max_ratio": st.floats(0.5, 1),
        "mask_k": st.integers(0, 5),
        "mask_filter_method": st.sampled_from(("area", "confidence")),
        "sort": st.sampled_from(("none", "left-to-right", "center-to-edge", "area")),
        "x_offset": st.integers(-30, 30),
        "y_offset": st.integers(-30, 30),
        "dilate_erode": st.integers(-8, 8),
        "merge_invert": st.sampled_from(("none", "merge", "merge_and_invert")),
        "fill_holes": st.one_of(st.booleans(), st.floats(0, 1)),
        "drop_islands": st.floats(0, 1),
        "smooth": st.integers(0, 5),
    },
)


@settings(max_examples=200, deadline=None)
@given(st.data(), OPTIONS, st.integers(1, 20))
def test_any_options_on_any_masks(data: Any, options: dict[str, Any], count: int) -> None:
    """Twenty masks one over another included: no exception, whole masks, boxes round them."""
    shape = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    given_ = [found(data.draw(any_mask(shape)), k / 20, f"c{k % 3}") for k in range(count)]
    (done,) = MaskFilter(MaskSettings(**options))([shot(*given_)])
    assert done.failure is None
    if done.status == "skipped":
        assert done.reason is not None and done.reason.code in ("mask_ratio", "no_mask")
        return
    assert 1 <= len(done.detections) <= count
    dropped = sum(done.metrics.values())
    if options.get("merge_invert", "none") == "none":
        assert len(done.detections) + dropped == count
    for d in done.detections:
        mask = mask_ops.mask_of(d)
        assert mask.dtype == bool and mask.shape == shape and mask.any()
        inside = np.zeros(shape, bool)
        x0, y0, x1, y1 = (int(v) for v in d.box_xyxy)
        inside[y0:y1, x0:x1] = True
        assert (mask <= inside).all()


def test_no_option_changes_nothing() -> None:
    before = shot(*three())
    assert MaskFilter(MaskSettings())([before])[0].detections == before.detections


@pytest.mark.parametrize("size", [(4000, 6000)])
def test_a_24_megapixel_mask_with_wide_brushes_takes_seconds(size: tuple[int, int]) -> None:
    import time

    mask = np.zeros(size, bool)
    mask[500:1500, 1000:2500] = True
    mask[900:910, 1200:1210] = False
    start = time.perf_counter()
    stage = MaskFilter(MaskSettings(dilate_erode=60, fill_holes=True, drop_islands=0.1, smooth=10))
    (done,) = stage([shot(found(mask))])
    assert time.perf_counter() - start < 10
    grown = mask_ops.mask_of(done.detections[0])
    assert grown[905, 1205] and grown[445, 1700] and not grown[435, 1700]
