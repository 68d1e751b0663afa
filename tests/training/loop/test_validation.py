"""Validation while training in float16, in which a VAE may overflow."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from helpers.small_trainings import small, write_photos
from PIL import Image

from visuals.checkpoints import load
from visuals.training.datasets.training_set import read_training_set
from visuals.training.loop import validation
from visuals.training.loop.batches import BatchLoader
from visuals.training.models import load_models


def autocast() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.float16)


def test_the_vae_keeps_to_float32_under_the_training_s_autocast(mini: Path, tmp_path: Path) -> None:
    pipe = load.load_text_to_image("mini/sd")
    decoder = pipe.vae.decoder
    with torch.no_grad():  # passes float16's 65,504 on its way, and comes back
        decoder.conv_in.weight.mul_(3e5)
        decoder.conv_in.bias.mul_(3e5)
    settings = small(
        write_photos(tmp_path / "photos"),
        tmp_path / "out",
        cache_latents=False,
        validation_prompts="a red mug",
        validation_inference_steps=1,
        validation_weights=[0.0],
    )
    data = read_training_set(settings)
    models = load_models.load(settings, "cpu", pipe)
    loader = BatchLoader(settings, models, data)
    pair = [(data.learned[0], False)]
    with autocast():
        moments = loader.latents.moments(pair)
    assert torch.equal(moments, loader.latents.moments(pair))
    validation.draw(settings, models, loader, SimpleNamespace(autocast=autocast), tmp_path, 1)
    (path,) = tmp_path.glob("look-*.png")
    assert np.asarray(Image.open(path)).std() > 1
