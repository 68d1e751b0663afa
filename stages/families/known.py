"""The families that are known, and which one a pipeline is of."""

from __future__ import annotations

from typing import Any

from ..diffusion.family import Family
from .stable_diffusion import StableDiffusion, StableDiffusionXL

FAMILIES: tuple[Family, ...] = (StableDiffusionXL(), StableDiffusion())
"""The name that is more than the beginning of another stands before it."""


def family_of(pipe: Any) -> Family:
    """The family of a pipeline of diffusers, by the name of its class."""
    names = [kind.__name__ for kind in type(pipe).__mro__ if kind.__name__.endswith("Pipeline")]
    for family in FAMILIES:
        if any(name.startswith(family.pipelines) for name in names):
            return family
    raise TypeError(
        f"a {type(pipe).__name__}: expected a pipeline of diffusers that begins with "
        f"{', '.join(family.pipelines for family in FAMILIES)}"
    )
