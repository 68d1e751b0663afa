"""Samplers by A1111's names, as diffusers schedulers.

A name is a sampler and, where it has one, a schedule after it: "DPM++ 2M Karras". What is
diffusers' counterpart of which is taken from its own table (docs: api/schedulers/overview).
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator
from typing import Any

from ...configs.errors import UsageError
from .noise_levels import with_levels

_SDE = {"algorithm_type": "sde-dpmsolver++"}
_LEVELS = ("Simple", "Beta", "Align Your Steps")
_SIGMAS = ("Karras", "Exponential", "SGM Uniform", *_LEVELS)
_UNIFORM = ("SGM Uniform",)

_SAMPLERS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}, _SIGMAS),
    "DPM++ SDE": ("DPMSolverSinglestepScheduler", _SDE, ("Karras", "Exponential", *_LEVELS)),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", _SDE, _SIGMAS),
    "DPM++ 3M SDE": ("DPMSolverMultistepScheduler", {**_SDE, "solver_order": 3}, _SIGMAS),
    "DPM2": ("KDPM2DiscreteScheduler", {}, _SIGMAS),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}, _SIGMAS),
    "Euler": ("EulerDiscreteScheduler", {}, _SIGMAS),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}, _UNIFORM),
    "Heun": ("HeunDiscreteScheduler", {}, _SIGMAS),
    "LMS": ("LMSDiscreteScheduler", {}, _SIGMAS),
    "UniPC": ("UniPCMultistepScheduler", {}, _SIGMAS),
    "DEIS": ("DEISMultistepScheduler", {}, _SIGMAS),
    "DDIM": ("DDIMScheduler", {}, _UNIFORM),
    "DDPM": ("DDPMScheduler", {}, _UNIFORM),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}, ()),
    "PNDM": ("PNDMScheduler", {"skip_prk_steps": True}, ()),
    "LCM": ("LCMScheduler", {}, ()),
    "TCD": ("TCDScheduler", {}, ()),
}
_SCHEDULES: dict[str, dict[str, Any]] = {
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"use_exponential_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
    **{name: {"use_karras_sigmas": True} for name in _LEVELS},  # see with_levels
}
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (kind, values) for name, (kind, values, _) in _SAMPLERS.items()},
    **{
        f"{name} {schedule}": (kind, {**values, **_SCHEDULES[schedule]})
        for name, (kind, values, schedules) in _SAMPLERS.items()
        for schedule in schedules
    },
}
_PLAIN = {
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "algorithm_type": "dpmsolver++",
    "solver_order": 2,
}
"""What a model's own scheduler may have set and the name of a sampler decides."""
NAMES = tuple(sorted(_KINDS))


def split(name: str) -> tuple[str, str]:
    """The sampler and the schedule of a name, "" for none.

    >>> split("Euler SGM Uniform")
    ('Euler', 'SGM Uniform')
    """
    schedule = next((one for one in _SCHEDULES if name.endswith(f" {one}")), "")
    return name.removesuffix(f" {schedule}"), schedule


class UnknownSamplerError(UsageError):
    """A sampler's name that is not known; the message names the nearest."""


def scheduler(name: str, config: Any, *, is_xl: bool = False) -> Any:
    """The scheduler of a sampler, on a model's own noise schedule (`config`)."""
    if name not in _KINDS:
        near = difflib.get_close_matches(name, NAMES, 1, 0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownSamplerError(
            f"unknown sampler {name!r}{hint} (expected one of {', '.join(NAMES)})"
        )
    import diffusers

    kind, changes = _KINDS[name]
    made, schedule = getattr(diffusers, kind), split(name)[1]
    if schedule in _LEVELS:
        made = with_levels(made, schedule, is_xl=is_xl)
    values = dict(config)
    plain = {key: value for key, value in _PLAIN.items() if key in values}
    return made.from_config({**values, **plain, **changes})


@contextlib.contextmanager
def using(pipe: Any, scheduler: Any) -> Iterator[None]:
    """`pipe` with another scheduler for a while: its own stays what it was for the next user."""
    original, pipe.scheduler = pipe.scheduler, scheduler
    try:
        yield
    finally:
        pipe.scheduler = original
