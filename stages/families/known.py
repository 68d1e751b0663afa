"""The families that are known, and which one a pipeline is of."""

from __future__ import annotations

from typing import Any

from ..diffusion.family import Family
from .flux import Flux
from .qwen_image import QwenImage
from .stable_diffusion import StableDiffusion, StableDiffusionXL
from .stable_diffusion3 import StableDiffusion3
from .zimage import ZImage

FAMILIES: tuple[Family, ...] = (
    *(StableDiffusionXL(), StableDiffusion3(), StableDiffusion()),
    *(Flux(), ZImage(), QwenImage()),
)
"""The name that is more than the beginning of another stands before it."""


def family_named(pipeline_class: str) -> Family | None:
    """The family of the name of a pipeline's class; None for others."""
    return next((f for f in FAMILIES if pipeline_class.startswith(f.pipelines)), None)


def family_of(pipe: Any) -> Family:
    """The family of a pipeline of diffusers, by the name of its class."""
    names = [kind.__name__ for kind in type(pipe).__mro__ if kind.__name__.endswith("Pipeline")]
    found = next(filter(None, map(family_named, names)), None)
    if found is not None:
        return found
    raise TypeError(
        f"a {type(pipe).__name__}: expected a pipeline of diffusers that begins with "
        f"{', '.join(family.pipelines for family in FAMILIES)}"
    )
