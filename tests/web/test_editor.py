"""A mask painted over in the browser's editor, as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from visuals.pipeline.web import editor


@pytest.mark.parametrize("size", [(96, 128), (900, 1400)])
def test_only_what_was_drawn_changes(size: tuple[int, int]) -> None:
    height = size[0]
    mask = np.random.default_rng(0).random(size) > 0.5
    mask[: height // 2] = True
    value = editor.layered(np.zeros((*size, 3), np.uint8), mask)
    assert np.array_equal(editor.painted(value, mask), mask)
    layer = value["layers"][0]
    layer[: layer.shape[0] // 4] = 0  # erased
    after = editor.painted(value, mask)
    assert not after[: height // 4 - 2].any()
    assert np.array_equal(after[height // 4 + 2 :], mask[height // 4 + 2 :])
