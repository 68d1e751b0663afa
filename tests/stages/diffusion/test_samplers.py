"""Every sampler runs on the embedded models and draws finite pictures."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from scipy import stats

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
    if name.endswith(("Karras", "Simple", "Beta", "Steps")):
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


SD15 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.mark.parametrize(
    "name", [n for n in samplers.NAMES if n.endswith(("Simple", "Beta", "Steps"))]
)
@pytest.mark.parametrize("steps", [1, 7, 11, 20])
def test_noise_levels_are_a1111s(name: str, steps: int) -> None:
    """By the formulas of A1111's sd_schedulers, for SD 1.5."""
    made = samplers.scheduler(name, {**SD15, "timestep_spacing": "leading", "steps_offset": 1})
    made.set_timesteps(steps)
    kept = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    levels = ((1 - kept) / kept) ** 0.5
    if name.endswith("Simple"):
        expected = [levels[-1 - int(k * 1000 / steps)] for k in range(steps)]
    elif name.endswith("Beta"):
        quantiles = stats.beta.ppf(1 - np.linspace(0, 1, steps), 0.6, 0.6)
        expected = [levels[0] + q * (levels[-1] - levels[0]) for q in quantiles]
    else:
        table = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]
        places = np.linspace(0, 10, steps)
        expected = np.exp(np.interp(places, range(11), np.log(table))).tolist()
    found = made.sigmas.unique().flip(0)[: len(set(expected))]
    if not name.startswith("DPM2"):  # which has levels between these
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    else:
        assert all(np.isclose(made.sigmas, level, rtol=1e-4).any() for level in expected)


def test_align_your_steps_has_a_table_for_sdxl() -> None:
    made = samplers.scheduler("Euler Align Your Steps", SD15, is_xl=True)
    made.set_timesteps(11)
    np.testing.assert_allclose(made.sigmas[1:4], [6.315, 3.771, 2.181], rtol=1e-5)


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
