"""Every sampler runs on the embedded models and draws finite pictures."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from visuals.checkpoints import load
from visuals.configs.generate import GenerateOptions
from visuals.stages.diffusion import samplers
from visuals.stages.generate import Generator
from visuals.stages.shot import Prompted, Shot


@pytest.fixture(scope="module")
def pipe(mini: Path) -> Any:
    return load.load_text_to_image("mini/sd")


def draw(pipe: Any, sampler: str, steps: int = 3) -> np.ndarray:
    shot = Shot(id="s", source=Prompted("red mug", "", 1), classes=("mug",))
    (done,) = Generator(pipe, GenerateOptions(steps=steps, width=64, height=64, sampler=sampler))(
        [shot]
    )
    assert done.status == "pending" and done.image is not None, done.failure
    return done.image


@pytest.mark.parametrize("name", samplers.NAMES)
def test_each_sampler_draws(pipe: Any, name: str) -> None:
    """Not-a-number would have failed the shot."""
    assert draw(pipe, name).std() > 0


@pytest.mark.parametrize("name", ["DPM++ 2M SDE Karras", "DPM++ SDE", "Euler a", "DPM2 a", "LCM"])
def test_samplers_that_add_noise_repeat(pipe: Any, name: str) -> None:
    assert (draw(pipe, name) == draw(pipe, name)).all()


def test_a_sampler_leaves_the_model_its_own_schedule(pipe: Any) -> None:
    before = dict(pipe.scheduler.config)
    draw(pipe, "DPM++ 3M SDE Karras", steps=1)
    assert dict(pipe.scheduler.config) == before


@pytest.mark.parametrize("name", samplers.NAMES)
def test_what_the_name_says_is_what_the_scheduler_takes(name: str) -> None:
    """A key that a scheduler does not know would be dropped in silence."""
    made = samplers.scheduler(name, {"num_train_timesteps": 1000, "use_karras_sigmas": True})
    takes = inspect.signature(type(made).__init__).parameters
    if name.endswith("Karras"):
        assert made.config.use_karras_sigmas
    else:
        assert not made.config.get("use_karras_sigmas")
    if name.endswith("Exponential"):
        assert made.config.use_exponential_sigmas and "use_exponential_sigmas" in takes
    if name.endswith("SGM Uniform"):
        assert made.config.timestep_spacing == "trailing" and "timestep_spacing" in takes
    if "SDE" in name:
        assert made.config.algorithm_type == "sde-dpmsolver++" and "algorithm_type" in takes


def test_names_of_a_kind_are_not_the_same_sampler() -> None:
    """On a made-up model, from the same noise, with a model's scheduler as SD 1.5 has it."""
    config = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
    }
    seen: dict[bytes, str] = {}
    for name in samplers.NAMES:
        made = samplers.scheduler(name, config)
        made.set_timesteps(8)
        noise = torch.Generator().manual_seed(0)
        x = torch.randn(1, 4, 8, 8, generator=noise) * made.init_noise_sigma
        takes = inspect.signature(made.step).parameters
        extra = {"generator": noise} if "generator" in takes else {}
        for t in made.timesteps:
            guess = torch.sin(made.scale_model_input(x, t) * 3 + t / 100)
            x = made.step(guess, t, x, **extra).prev_sample
        assert torch.isfinite(x).all(), name
        twin = seen.setdefault(x.numpy().tobytes(), name)
        assert twin == name or {twin, name} == {"PLMS", "PNDM"}


def test_the_noise_schedule_is_the_models_own(pipe: Any) -> None:
    made = samplers.scheduler("Euler a", pipe.scheduler.config)
    assert isinstance(made, diffusers.EulerAncestralDiscreteScheduler)
    for key in ("beta_start", "beta_end", "prediction_type"):
        assert made.config[key] == pipe.scheduler.config[key]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("dpm++ 2m karras", "DPM++ 2M Karras"), ("Euler A", "Euler a"), ("UniPc", "UniPC")],
)
def test_a_wrong_name_is_refused_with_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(
        samplers.UnknownSamplerError, match=f"did you mean '{near}'".replace("+", r"\+")
    ):
        samplers.scheduler(wrong, {})
