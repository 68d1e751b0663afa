"""Colour arithmetic against published values."""

from __future__ import annotations

import numpy as np
import pytest

from visuals.benchmarks import targets
from visuals.benchmarks.accuracy import color_metrics

# pairs 1, 4, 7, 13, 17, 21, 25, 31 of Sharma, Wu and Dalal (2005), table 1
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, -0.001, 2.49), (50.0, 0.0011, -2.49), 4.7461),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (50.0, 3.1736, 0.5854), 1.0000),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
]


@pytest.mark.parametrize(("a", "b", "expected"), SHARMA)
def test_ciede2000_equals_the_published_pairs(a: tuple, b: tuple, expected: float) -> None:
    assert color_metrics.delta_e2000(np.array(a), np.array(b)) == pytest.approx(expected, abs=1e-4)


def test_lab_of_white_black_and_red() -> None:
    values = color_metrics.lab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]]))
    assert np.allclose(values, [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]], atol=0.02)


def test_nearest_word_takes_the_colour_of_most_pixels() -> None:
    rgb = np.full((4, 4, 3), (200, 30, 30), np.uint8)
    rgb[0] = (240, 240, 240)
    words = {"red": (200, 32, 34), "white": (238, 238, 236)}
    assert color_metrics.nearest_word(rgb, np.ones((4, 4), bool), words) == "red"
    only_top = np.zeros((4, 4), bool)
    only_top[0] = True
    assert color_metrics.nearest_word(rgb, only_top, words) == "white"


def test_rings_of_a_flat_picture_are_all_alike() -> None:
    profile = color_metrics.rings(np.full((16, 16, 3), 128, np.uint8), np.zeros((16, 16), bool))
    assert profile.shape == (4, 3) and np.ptp(profile[:, 0]) < 1e-9


def test_bars_compare_by_their_sign() -> None:
    assert targets.BARS["recall"].passed(0.97) and not targets.BARS["recall"].passed(0.96)
    assert targets.BARS["changed_outside"].passed(0) and not targets.BARS["changed_outside"].passed(
        1
    )
    assert targets.table({"recall": 0.5, "run_seconds": 70.0}).row_count == 2
