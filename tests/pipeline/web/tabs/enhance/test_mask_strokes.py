"""Strokes on a mask: what they touch changes, the rest keeps its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from visuals.pipeline.web.tabs.enhance import mask_strokes
from visuals.pipeline.web.tabs.enhance.mask_strokes import Stroke


@pytest.mark.parametrize("size", [(96, 128), (900, 1400)])
def test_only_what_was_drawn_changes(size: tuple[int, int]) -> None:
    height, width = size
    mask = np.random.default_rng(0).random(size) > 0.5
    assert np.array_equal(mask_strokes.draw(mask, ()), mask)
    radius = 0.05
    line = Stroke(False, radius, ((0.1, 0.5), (0.9, 0.5)))
    after = mask_strokes.draw(mask, [line])
    far = round(radius * width)
    middle = after[height // 2 - far + 2 : height // 2 + far - 2, width // 8 : -width // 8]
    assert middle.size and not middle.any()
    above = slice(0, height // 2 - far - 2)
    assert np.array_equal(after[above], mask[above])
    back = mask_strokes.draw(mask, [line, Stroke(True, radius, ((0.5, 0.5),))])
    assert back[height // 2, width // 2] and not back[height // 2, width // 4]


def test_a_stroke_over_the_edge_and_a_dot() -> None:
    mask = mask_strokes.draw(np.zeros((40, 40), bool), [Stroke(True, 0.1, ((-0.1, 0), (1.1, 0)))])
    assert mask[0].all() and not mask[8:].any()
    dot = mask_strokes.draw(np.zeros((40, 40), bool), [Stroke(True, 0.1, ((0.5, 0.5),))])
    assert 40 <= dot.sum() <= 80  # a disc of radius 4


@pytest.mark.parametrize(
    "sent",
    [
        None, "x", {"a": 1}, [None], [{"paint": True}],
        [{"radius": float("nan"), "points": [[0, 0]]}],
        [{"radius": 0.1, "points": []}], [{"radius": 0.1, "points": [[1e9, 0]]}],
        [{"radius": 0.1, "points": [[0, 0, 0]]}], [{"radius": -1, "points": [[0, 0]]}],
    ],
)  # fmt: skip
def test_what_is_no_stroke_is_left_out(sent: Any) -> None:
    assert mask_strokes.read(sent) == ()
