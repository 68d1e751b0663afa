"""Buckets by kohya's arithmetic; 15,000 random sizes were compared with its own functions once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuals.training.datasets.buckets import BucketError, Buckets, steps_per_epoch


def test_the_methods_buckets() -> None:
    sizes = Buckets().sizes
    assert len(sizes) == 21 and (768, 768) in sizes
    assert min(w for w, _ in sizes) == 320 and max(w for w, _ in sizes) == 1280
    assert all(w % 64 == h % 64 == 0 and w * h <= 768 * 768 for w, h in sizes)
    assert sizes == tuple(sorted(sizes))


@pytest.mark.parametrize(
    ("size", "bucket", "resized"),
    [
        ((1024, 1024), (768, 768), (768, 768)),
        ((683, 1024), (640, 896), (640, 960)),
        ((1024, 683), (896, 640), (960, 640)),
        ((64, 64), (768, 768), (768, 768)),
        ((3000, 500), (1280, 320), (1920, 320)),
        ((704, 832), (704, 832), (704, 832)),
    ],
)
def test_where_a_picture_goes(
    size: tuple[int, int], bucket: tuple[int, int], resized: tuple[int, int]
) -> None:
    fit = Buckets().fit(size)
    assert (fit.bucket_wh, fit.resized_wh) == (bucket, resized)


def test_without_enlarging_small_pictures_keep_their_size() -> None:
    buckets = Buckets(bucket_no_upscale=True)
    small = buckets.fit((300, 200))
    assert (small.bucket_wh, small.resized_wh) == ((256, 192), (300, 200))
    large = buckets.fit((1024, 683))
    assert (large.bucket_wh, large.resized_wh) == ((832, 576), (864, 576))
    assert buckets.fit((40, 30)).bucket_wh == (64, 64)


@pytest.mark.parametrize("no_upscale", [True, False])
@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (5, 1_000_000), (3, 700)])
def test_the_bucket_of_a_line_is_bounded(size: tuple[int, int], no_upscale: bool) -> None:
    buckets = Buckets(bucket_no_upscale=no_upscale)
    width, height = buckets.fit(size).bucket_wh
    assert width * height <= 4 * 768 * 768


@pytest.mark.parametrize(
    "options",
    [
        {"resolution_wh": (10**9, 64)},
        {"max_bucket_reso": 64 * 10**6},
        {"min_bucket_reso": 0},
        {"min_bucket_reso": -64},
        {"bucket_reso_steps": 0},
    ],
)
def test_sizes_without_bounds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(BucketError, match="expected a multiple of"):
        Buckets(**options)


def test_without_buckets_all_are_cut_to_the_resolution() -> None:
    fit = Buckets(enable_bucket=False, resolution_wh=(512, 512)).fit((1000, 500))
    assert (fit.bucket_wh, fit.resized_wh) == ((512, 512), (1024, 512))
    assert fit.crop_xyxy == (256, 0, 768, 512) and fit.cropped == 0.5


@given(
    st.integers(8, 4000),
    st.integers(8, 4000),
    st.booleans(),
    st.sampled_from([(512, 512), (768, 768), (640, 832)]),
)
def test_the_resized_picture_covers_its_bucket(
    width: int, height: int, no_upscale: bool, resolution: tuple[int, int]
) -> None:
    buckets = Buckets(bucket_no_upscale=no_upscale, resolution_wh=resolution)
    fit = buckets.fit((width, height))
    assert fit.resized_wh[0] >= fit.bucket_wh[0] and fit.resized_wh[1] >= fit.bucket_wh[1]
    assert fit.bucket_wh[0] % 64 == fit.bucket_wh[1] % 64 == 0
    x0, y0, x1, y1 = fit.crop_xyxy
    assert x0 >= 0 and y0 >= 0 and (x1 - x0, y1 - y0) == fit.bucket_wh
    assert x1 <= fit.resized_wh[0] and y1 <= fit.resized_wh[1]


def test_steps_of_an_epoch() -> None:
    assert steps_per_epoch([65 * 6], 2) == 195
    assert steps_per_epoch([5, 3], 2) == 5  # a short last batch in each bucket
    assert steps_per_epoch([5, 3], 2, gradient_accumulation_steps=2) == 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"resolution_wh": (500, 512)}, "set 496"),
        ({"resolution_wh": (256, 256)}, "min_bucket_reso 320 is above the resolution 256"),
        ({"resolution_wh": (2048, 2048)}, "raise max_bucket_reso"),
        ({"bucket_reso_steps": 12}, "multiple of 8"),
        ({"min_bucket_reso": 330}, "multiple of bucket_reso_steps 64"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, object], said: str) -> None:
    with pytest.raises(BucketError, match=said):
        Buckets(**values)  # type: ignore[arg-type]
