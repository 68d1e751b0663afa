"""Sizes of windows, and how full they make the calls of stage 3."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from visuals.configs.schema import load_settings
from visuals.stages.regions.windows import bucket, bucket_step

MODEL_STEPS = {"sd15": 64, "sd15-fast": 64, "sdxl": 32, "sdxl-fast": 32}
"""Pixels of a latent of the UNet's innermost level."""


@pytest.mark.parametrize("preset", MODEL_STEPS)
def test_calls_are_full_of_products_of_many_aspects(preset: str) -> None:
    settings = load_settings(preset)
    options = settings.rerender
    size_wh = options.width, options.height
    step = bucket_step(size_wh, MODEL_STEPS[preset])
    filled = []
    for seed in range(20):
        aspects = np.exp(np.random.default_rng(seed).normal(0, 0.35, 200))
        sizes = [bucket(float(aspect), size_wh, step) for aspect in aspects]
        batches = [
            sizes[k : k + settings.run.batch_size] for k in range(0, 200, settings.run.batch_size)
        ]
        calls = sum(
            -(-n // options.batch_size) for batch in batches for n in Counter(batch).values()
        )
        filled.append(200 / calls / options.batch_size)
    assert np.mean(filled) >= 0.8


@pytest.mark.parametrize("size", [(512, 512), (1024, 1024), (768, 512), (128, 128), (64, 64)])
@pytest.mark.parametrize("model_step", [16, 32, 64])
def test_every_bucket_is_one_that_the_model_draws(size: tuple[int, int], model_step: int) -> None:
    step = bucket_step(size, model_step)
    assert step % model_step == 0
    for aspect in np.geomspace(0.01, 100, 50):
        width, height = bucket(float(aspect), size, step)
        assert width % model_step == height % model_step == 0
        assert 0.5 <= width * height / (size[0] * size[1]) <= 2 or min(size) < 2 * step
