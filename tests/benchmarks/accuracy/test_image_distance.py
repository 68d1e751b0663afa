"""The distance between sets of pictures, on numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from visuals.benchmarks.accuracy import color_metrics, image_distance


def test_the_distance_of_two_points_is_known() -> None:
    """E|A-B| is 5 and nothing is spread: √(2 · 5)."""
    a, b = np.zeros((3, 2)), np.tile([3.0, 4.0], (2, 1))
    assert image_distance.distance(a, b) == pytest.approx(np.sqrt(10))
    assert image_distance.distance(a, a) == 0


def test_a_spread_is_seen_where_the_mean_is_the_same() -> None:
    """{-1, 1} and {0, 0}: E|A-B| is 1, E|A-A'| of different rows 2: 2 - 2 - 0."""
    assert image_distance.distance(np.array([[-1.0], [1.0]]), np.zeros((2, 1))) == 0
    wide, rng = np.array([[-9.0], [9.0]] * 40), np.random.default_rng(0)
    assert image_distance.distance(wide, rng.normal(0, 1, (80, 1))) > 2


def test_halves_of_one_set_are_alike_and_small_sets_no_farther() -> None:
    rng = np.random.default_rng(1)
    for count in (6, 24, 200):
        squared = [
            image_distance.distance(rng.normal(size=(count, 5)), rng.normal(size=(count, 5))) ** 2
            for _ in range(20)
        ]
        assert np.median(squared) < 0.15  # 1 apart in each number it is about 1.4
    apart = image_distance.distance(rng.normal(size=(200, 5)), rng.normal(1, 1, (200, 5))) ** 2
    assert apart > 1


def test_the_gain_is_the_share_of_the_way() -> None:
    rng = np.random.default_rng(2)
    look, before = rng.normal(0, 3, (300, 4)), rng.normal(0, 3, (300, 4)) + [4, 0, 0, 0]
    gains = [
        image_distance.gain(before, before - [4 * share, 0, 0, 0], look) for share in (0, 0.5, 1)
    ]
    assert gains[0] == 0 and gains[0] < gains[1] < gains[2]
    assert gains[1] == pytest.approx(0.5, abs=0.1) and gains[2] > 0.85
    low, high = image_distance.interval(before, before - [2, 0, 0, 0], look)
    assert low < gains[1] < high and high - low < 0.5


def test_what_is_measured_of_a_picture() -> None:
    gray = np.full((32, 32, 3), 119, np.uint8)
    found = image_distance.statistics(gray)
    light = color_metrics.lab(gray)[0, 0, 0]
    assert found.shape == (18,)
    np.testing.assert_allclose(found[0:12:3], light / 2)  # four rings as one
    np.testing.assert_allclose(found[12:], 0, atol=1e-9)
    board = np.where(np.indices((32, 32)).sum(0)[..., None] % 2, 0, 255).astype(np.uint8)
    fine = image_distance.statistics(board.repeat(3, 2))
    assert fine[15] == pytest.approx(50) and fine[16] == pytest.approx(0, abs=1e-9)
    coarse = image_distance.statistics(board.repeat(3, 2).repeat(2, 0).repeat(2, 1))
    assert coarse[15] == pytest.approx(0, abs=1e-9) and coarse[16] == pytest.approx(50)


def test_the_ring_of_a_spotlight_is_seen_and_what_stands_in_it_hardly() -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:32, 0:32]
    light = 255 - 8 * np.hypot(x - 15.5, y - 15.5)

    def pictures(spot: bool) -> np.ndarray:
        made = []
        for _ in range(20):
            image = np.repeat((light if spot else np.full((32, 32), 200.0))[..., None], 3, 2)
            left, top = rng.integers(8, 16, 2)
            image[top : top + 8, left : left + 8] = rng.integers(0, 256, 3)
            made.append(image_distance.statistics(np.clip(image, 0, 255).astype(np.uint8)))
        return np.array(made)

    same = image_distance.distance(pictures(True), pictures(True))
    assert image_distance.distance(pictures(True), pictures(False)) > 3 * max(same, 0.5)
