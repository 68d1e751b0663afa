"""Samplers by A1111's names, as diffusers schedulers."""

from __future__ import annotations

import difflib
from typing import Any

_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": False}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "DDIM": ("DDIMScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "PNDM": ("PNDMScheduler", {}),
    "LCM": ("LCMScheduler", {}),
}
NAMES = tuple(_SAMPLERS)


class UnknownSampler(ValueError):
    """A sampler's name that is not known; the message names the nearest."""


def scheduler(name: str, config: Any) -> Any:
    """The scheduler of a sampler, on a model's own noise schedule (`config`)."""
    import diffusers

    if name not in _SAMPLERS:
        near = difflib.get_close_matches(name, NAMES, 1, 0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownSampler(f"unknown sampler {name!r}{hint} (expected one of {', '.join(NAMES)})")
    kind, changes = _SAMPLERS[name]
    return getattr(diffusers, kind).from_config(config, **changes)
