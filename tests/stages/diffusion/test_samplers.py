"""Every sampler runs on the embedded models and draws finite pictures."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from helpers import k_diffusion

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
        made.set_timesteps(6)
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


SD15 = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
FAMILIES = {
    "SD 1.5": SD15,
    "SDXL": {
        **SD15,
        "_class_name": "EulerDiscreteScheduler",
        "interpolation_type": "linear",
        "prediction_type": "epsilon",
        "sample_max_value": 1.0,
        "timestep_spacing": "leading",
        "use_karras_sigmas": False,
    },
    "mini/sd": json.loads(
        (Path(load.__file__).parent / "mini/sd/scheduler/scheduler_config.json").read_text()
    ),
}
STEPS = 10
EXCEPTIONS = {
    "LCM": "not in k-diffusion: time steps of the distillation, as diffusers has them",
    "TCD": "unknown to A1111: time steps of the distillation, as diffusers has them",
    "UniPC": "not in k-diffusion; A1111's stops at the lowest level: compared by levels, and with "
    "the exact solution at 40 steps, within 3 %",
    "DEIS": "not in A1111 (Forge takes another order): compared as UniPC is",
}


def published(family: str) -> Any:
    """A family's own configuration as diffusers loads it, with the keys it marks as defaults."""
    values = FAMILIES[family]
    return getattr(diffusers, values["_class_name"]).from_config(values).config


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


PICTURES = torch.randn(3, 1, 4, 2, 2, generator=seeded(1), dtype=torch.float64)


def denoised(x: Any, level: Any) -> Any:
    """The exact denoiser of three pictures with grain of 0.5."""
    spread = level**2 + 0.25
    far = ((x - PICTURES) ** 2).sum((2, 3, 4), keepdim=True) / (2 * spread)
    return (torch.softmax(-far, 0) * (PICTURES * level**2 + x * 0.25)).sum(0) / spread


NOISE = torch.randn(2, 4, 2, 2, generator=seeded(0), dtype=torch.float64)


def sampled(made: Any, steps: int) -> Any:
    """What a scheduler makes of NOISE, with the model's answers at the levels it stands at."""
    made.set_timesteps(steps)
    x = NOISE * made.init_noise_sigma
    for t in made.timesteps:
        y = made.scale_model_input(x, t)
        level = torch.tensor(k_diffusion.level_of(float(t)))
        if hasattr(made, "sigmas"):
            if made.step_index is None:
                made._init_step_index(t)
            i, found = made.step_index, made.sigmas
            if not getattr(made, "state_in_first_order", True) and "KDPM2" in type(made).__name__:
                found, i = made.sigmas_interpol, i - ("Ancestral" in type(made).__name__)
            level = found[i].double()
        kept = 1 / (1 + level**2)
        clean = denoised(y / kept**0.5, level)
        noise = (y / kept**0.5 - clean) / level
        if made.config.prediction_type == "v_prediction":
            noise = kept**0.5 * noise - (1 - kept) ** 0.5 * clean
        x = made.step(noise, t, x).prev_sample
    return x


@functools.cache
def exact() -> Any:
    """The solution without noise, in 300 steps of Heun."""
    levels = k_diffusion.levels("", 300)
    return k_diffusion.heun(denoised, NOISE * levels[0], levels)


@functools.cache
def reference(sampler: str, schedule: str) -> Any:
    D, k = denoised, k_diffusion
    if sampler in ("DDIM", "PLMS", "PNDM"):
        times = k.time_steps(STEPS)
        if schedule:
            times = [*range(999, 0, -1000 // STEPS), 0]
        return k.ddim(D, NOISE, times, plms=sampler != "DDIM")
    if sampler in EXCEPTIONS:
        return exact()
    discard = sampler in ("DPM2", "DPM2 a", "DPM++ 3M SDE")
    S = k.levels(schedule, STEPS, discard=discard)
    x = NOISE * S[0]
    return {
        "Euler": lambda: k.euler(D, x, S),
        "Euler a": lambda: k.euler(D, x, S, k._down),
        "Heun": lambda: k.heun(D, x, S),
        "LMS": lambda: k.lms(D, x, S),
        "DPM2": lambda: k.dpm_2(D, x, S),
        "DPM2 a": lambda: k.dpm_2(D, x, S, k._down),
        "DPM++ 2M": lambda: k.dpmpp_2m(D, x, S),
        "DPM++ SDE": lambda: k.dpmpp_sde(D, x, S),
        "DPM++ 2M SDE": lambda: k.dpmpp_multistep_sde(D, x, S, 2),
        "DPM++ 3M SDE": lambda: k.dpmpp_multistep_sde(D, x, S, 3),
        "DDPM": lambda: k.ddpm(D, x, S),
    }[sampler]()


@pytest.fixture
def noiseless(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, *_ in samplers._SAMPLERS.values():
        module = sys.modules[getattr(diffusers, kind).__module__]
        monkeypatch.setattr(module, "randn_tensor", lambda shape, **_: torch.zeros(shape), False)


@pytest.mark.usefixtures("noiseless")
@pytest.mark.parametrize("name", [n for n in samplers.NAMES if n not in ("LCM", "TCD")])
def test_samplers_are_a1111s(name: str) -> None:
    """On each family, within 1 %. A family whose own spacing is "trailing" keeps it."""
    sampler, schedule = samplers.split(name)
    steps, most = (40, 0.03) if sampler in EXCEPTIONS else (STEPS, 0.01)
    done = []
    for family in FAMILIES:
        config = published(family)
        made = samplers.scheduler(name, config)
        if sampler in ("PLMS", "PNDM") and config["prediction_type"] == "v_prediction":
            continue  # diffusers averages velocities, A1111 the noise
        if dict(made.config) in done:  # SDXL is as SD 1.5
            continue
        done.append(dict(made.config))
        trailing = config["timestep_spacing"] == "trailing"
        found = sampled(made, steps)
        wanted = reference(sampler, schedule or "SGM Uniform" * trailing)
        assert (found - wanted).norm() <= most * wanted.norm(), family


@pytest.mark.parametrize("steps", [2, 20])
@pytest.mark.parametrize(
    "name", [n for n in samplers.NAMES if not n.startswith(("DDIM", "PLMS", "PNDM", "LCM", "TCD"))]
)
def test_noise_levels_are_a1111s(name: str, steps: int) -> None:
    """The last of SGM Uniform is off by 1.09 %: whole time steps, as few-step models know them."""
    sampler, schedule = samplers.split(name)
    for family in ("SD 1.5", "SDXL"):
        is_xl = family == "SDXL"
        made = samplers.scheduler(
            name, published(family), ays_table=f"StableDiffusion{'XL' if is_xl else ''}Sigmas"
        )
        made.set_timesteps(steps)
        if sampler == "DDPM":
            found = k_diffusion.TRAINED[made.timesteps]
        else:
            stages = getattr(made, "order", 1)
            found = made.sigmas[:: stages or 1]
        discard = sampler in ("DPM2", "DPM2 a", "DPM++ 3M SDE")
        wanted = k_diffusion.levels(schedule, steps, is_xl=is_xl, discard=discard)
        np.testing.assert_allclose(found[: len(wanted) - 1], wanted[:-1], rtol=0.011)
        assert getattr(made, "sigmas", wanted)[-1] <= 1e-6


@pytest.mark.parametrize("steps", [10, 20, 30, 60])
def test_ddim_has_the_time_steps_of_a1111(steps: int) -> None:
    """Where A1111 has one fewer, a last one changes nothing."""
    made = samplers.scheduler("DDIM", published("SD 1.5"))
    made.set_timesteps(steps)
    assert made.config.clip_sample is False and len(made.timesteps) >= steps
    wanted = k_diffusion.time_steps(steps)[:-1]
    assert made.timesteps[: len(wanted)].tolist() == wanted.tolist()
    x = torch.ones(1, 4, 2, 2)
    for extra in made.timesteps[len(wanted) :]:
        torch.testing.assert_close(made.step(x / 3, extra, x).prev_sample, x)


@pytest.mark.parametrize(("family", "steps"), [("SD 1.5", 8), ("SDXL", 4), ("SDXL", 8)])
@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
def test_few_step_models_get_trailing_steps(family: str, sampler: str, steps: int) -> None:
    """As Lightning's and Hyper-SD's examples in diffusers have them."""
    made = samplers.scheduler(f"{sampler} SGM Uniform", published(family))
    made.set_timesteps(steps)
    example = getattr(diffusers, f"{sampler}{'Discrete' * (sampler == 'Euler')}Scheduler")(
        **{k: v for k, v in SD15.items() if k.startswith("beta")}, timestep_spacing="trailing"
    )
    example.set_timesteps(steps)
    torch.testing.assert_close(made.timesteps, example.timesteps)


@pytest.mark.parametrize("name", [n for n in samplers.NAMES if samplers.split(n)[1] == ""])
def test_each_sampler_begins_at_a_zero_terminal_snr(name: str) -> None:
    """Where the model was trained so; a class of diffusers may not rescale the schedule itself."""
    config = {
        **published("SDXL"), "prediction_type": "v_prediction", "rescale_betas_zero_snr": True
    }  # fmt: skip
    made = samplers.scheduler(name, config)
    made.set_timesteps(5)
    assert made.config.prediction_type == "v_prediction"
    kept = made.alphas_cumprod.double()
    assert kept[-1] < 1e-7 and kept[-2] > 1e-7
    if hasattr(made, "sigmas"):
        assert float(made.sigmas[0]) == pytest.approx(4096, rel=1e-3)
    x = torch.ones(1, 4, 2, 2) * made.init_noise_sigma
    for t in made.timesteps:
        x = made.step(made.scale_model_input(x, t) / 9, t, x).prev_sample
    assert torch.isfinite(x).all()


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
