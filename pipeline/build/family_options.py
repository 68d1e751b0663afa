"""Holds settings against the family of their model: what it refuses, and what it does not use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...checkpoints.identify.base_family import pipeline_class
from ...configs.errors import UsageError
from ...configs.schema import Settings
from ...stages.families.known import family_named

if TYPE_CHECKING:
    from ...stages.diffusion.family import Family


class UnsuitableOptionError(UsageError):
    """A setting that the model's family cannot follow."""


def check(settings: Settings) -> None:
    """Raise for a sampler, a size or an option that the family of `generate.model` does not have.

    A repository whose files are not on this machine is checked when it is loaded.
    """
    family = _family(settings)
    if family is None:
        return
    for name, why in family.refused.items():
        if _is_set(settings, name):
            raise UnsuitableOptionError(f"{name}: {why}; set it to null")
    most, controls = family.most_controls, settings.rerender.controls
    if most is not None and len(controls) > most:
        raise UnsuitableOptionError(
            f"rerender.controls {', '.join(controls)}: {settings.generate.model} takes one control "
            "at a time; set rerender.controls to one"
        )
    for section, part in (("generate", settings.generate), ("rerender", settings.rerender)):
        if part.sampler not in family.sampler_names:
            raise UnsuitableOptionError(
                f"{section}.sampler {part.sampler!r}: {settings.generate.model} has "
                f"{', '.join(family.sampler_names)}; set {section}.sampler"
            )
        for side in ("width", "height"):
            pixels = getattr(part, side)
            if pixels % family.multiple:
                raise UnsuitableOptionError(
                    f"{section}.{side} {pixels}: expected a multiple of {family.multiple}, as "
                    f"{settings.generate.model} draws; set {section}.{side}"
                )


def unused(settings: Settings) -> Iterator[str]:
    """A line for each setting that the family of `generate.model` does without."""
    family = _family(settings)
    for name, why in family.unused.items() if family else ():
        if _is_set(settings, name):
            yield f"{name} is not used: {why}"


def fixed_layer(settings: Settings) -> str:
    """Why `generate.clip_skip` changes nothing for the family of `generate.model`, or ""."""
    family = _family(settings)
    return family.fixed_layer if family else ""


def _family(settings: Settings) -> Family | None:
    allowed = settings.run.allow_pickle
    return family_named(pipeline_class(settings.generate.model, allow_pickle=allowed))


def _is_set(settings: Settings, name: str) -> bool:
    """Whether a setting differs from its default and holds something."""
    value: Any = settings
    default: Any = None
    for key in name.split("."):
        if value is None:
            return False
        default = type(value).model_fields[key].default
        value = getattr(value, key)
    return bool(value) and value != default
