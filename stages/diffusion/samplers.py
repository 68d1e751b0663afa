"""Samplers by A1111's names, as diffusers schedulers.

A name is a sampler and, where it has one, a schedule after it: "DPM++ 2M Karras". What is
diffusers' counterpart of which is taken from its own table (docs: api/schedulers/overview).
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...configs.errors import UsageError
from .noise_levels import SCHEDULES, align_your_steps
from .scheduler_classes import third_order, to_zero, two_stage, with_levels, with_time_steps

_SDE = {"algorithm_type": "sde-dpmsolver++"}
_THIRD = {**_SDE, "solver_order": 3, "solver_type": "heun", "lower_order_final": False}
_ALL = tuple(name for name in SCHEDULES if name)
_UNIFORM = ("SGM Uniform",)
_LINEAR = {"timestep_spacing": "linspace"}

_SAMPLERS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}, _ALL),
    "DPM++ SDE": (
        "DPMSolverSinglestepScheduler",
        {**_SDE, "lower_order_final": True},
        tuple(name for name in _ALL if name not in _UNIFORM),
    ),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", _SDE, _ALL),
    "DPM++ 3M SDE": ("DPMSolverMultistepScheduler", _THIRD, _ALL),
    "DPM2": ("KDPM2DiscreteScheduler", {}, _ALL),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}, _ALL),
    "Euler": ("EulerDiscreteScheduler", {}, _ALL),
    "Euler a": ("EulerAncestralDiscreteScheduler", _LINEAR, _UNIFORM),
    "Heun": ("HeunDiscreteScheduler", {}, _ALL),
    "LMS": ("LMSDiscreteScheduler", {}, _ALL),
    "UniPC": ("UniPCMultistepScheduler", {}, _ALL),
    "DEIS": ("DEISMultistepScheduler", {}, _ALL),
    "DDIM": ("DDIMScheduler", {}, _UNIFORM),
    "DDPM": ("DDPMScheduler", _LINEAR, _UNIFORM),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}, ()),
    "PNDM": ("PNDMScheduler", {"skip_prk_steps": True}, ()),
    "LCM": ("LCMScheduler", {}, ()),
    "TCD": ("TCDScheduler", {}, ()),
}
_DISCARDING = ("DPM2", "DPM2 a", "DPM++ 3M SDE")
"""Samplers for which A1111 leaves out the last level but the 0."""
_CHANGED_CLASSES = {"DPM++ SDE": two_stage, "DPM++ 3M SDE": third_order, "DEIS": to_zero}
_TRAINING_KEYS = (
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas",
    "prediction_type", "rescale_betas_zero_snr", "set_alpha_to_one", "steps_offset",
    "original_inference_steps", "timestep_scaling",
)  # fmt: skip
"""What a sampler takes from a model's own scheduler: how the model was trained."""
NAMES = tuple(
    sorted(
        f"{name} {schedule}".strip()
        for name, (*_, schedules) in _SAMPLERS.items()
        for schedule in ("", *schedules)
    )
)


def split(name: str) -> tuple[str, str]:
    """The sampler and the schedule of a name, "" for none.

    >>> split("Euler SGM Uniform")
    ('Euler', 'SGM Uniform')
    """
    schedule = next((one for one in _ALL if name.endswith(f" {one}")), "")
    return name.removesuffix(f" {schedule}"), schedule


class UnknownSamplerError(UsageError):
    """A sampler's name that is not known; the message names the nearest."""


def scheduler(name: str, config: Any, *, ays_table: str = "StableDiffusionSigmas") -> Any:
    """The scheduler of a sampler, on a model's own noise schedule (`config`).

    Noise levels are A1111's. A model whose own scheduler is spaced "trailing" was made for these
    steps: without a schedule in the name it keeps them. `ays_table`: of `align_your_steps`.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1, 0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownSamplerError(
            f"unknown sampler {name!r}{hint} (expected one of {', '.join(NAMES)})"
        )
    import diffusers

    sampler, schedule = split(name)
    kind, changes, _ = _SAMPLERS[sampler]
    made = getattr(diffusers, kind)
    takes = inspect.signature(made.__init__).parameters
    values = {key: config[key] for key in _TRAINING_KEYS if key in config}
    values |= {"clip_sample": False, **changes}
    if config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in takes:
        values["trained_betas"] = _zero_snr_betas(values)
    if not schedule and config.get("timestep_spacing") == "trailing":
        schedule = "SGM Uniform"
    if "use_karras_sigmas" in takes:
        values["use_karras_sigmas"] = True  # which with_levels replaces
        levels = SCHEDULES[schedule]
        if levels is align_your_steps:
            levels = functools.partial(align_your_steps, table=ays_table)
        made = with_levels(made, levels, discard=sampler in _DISCARDING)
        made = _CHANGED_CLASSES.get(sampler, lambda kind: kind)(made)
    elif schedule:
        values["timestep_spacing"] = "trailing"
    elif sampler in ("DDIM", "PLMS", "PNDM"):
        made = with_time_steps(made)
    return made(**{key: value for key, value in values.items() if key in takes})


def _zero_snr_betas(values: Mapping[str, Any]) -> np.ndarray:
    """The noise schedule with zero terminal SNR (arXiv:2305.08891), float (time steps,), for
    schedulers of diffusers that do not rescale it themselves; its end is that of those which do."""
    from diffusers import EulerDiscreteScheduler

    takes = inspect.signature(EulerDiscreteScheduler.__init__).parameters
    made = EulerDiscreteScheduler(**{key: v for key, v in values.items() if key in takes})
    kept = made.alphas_cumprod.double().numpy()
    return 1 - kept / np.append(1, kept[:-1])


@contextlib.contextmanager
def using(pipe: Any, scheduler: Any) -> Iterator[None]:
    """`pipe` with another scheduler for a while: its own stays what it was for the next user."""
    original, pipe.scheduler = pipe.scheduler, scheduler
    try:
        yield
    finally:
        pipe.scheduler = original
