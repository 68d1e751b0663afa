"""Holds settings against the family of their model: what it refuses, and what it does not use."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from ...checkpoints.identify.base_family import pipeline_class
from ...checkpoints.identify.model_kind import METHODS
from ...configs.errors import UsageError
from ...configs.rerender import OWN_MODELS, wrong_model
from ...configs.schema import Settings
from ...stages.families.known import family_named

_WITHOUT = {
    "edit": {
        "rerender.strength": "an edit model draws all of its window anew",
        "rerender.controls": "an edit model takes no control maps",
        "rerender.cache_interval": "DeepCache is for UNets",
        "rerender.color_correction": "colours are matched at the seam of every edit",
        "rerender.keep_color": "an edit says what changes",
    },
    "inpaint": {"rerender.controls": "an inpainting model takes no control maps"},
}
"""Settings that a `rerender.method` does without, and why."""

if TYPE_CHECKING:
    from ...stages.diffusion.family import Family


class UnsuitableOptionError(UsageError):
    """A setting that the model's family cannot follow."""


def check(settings: Settings) -> None:
    """Raise for a sampler, a size or an option that the family of a model does not have.

    A repository whose files are not on this machine is checked when it is loaded.
    """
    family = _family(settings, settings.generate.model)
    for name, why in family.refused.items() if family else ():
        if _is_set(settings, name):
            raise UnsuitableOptionError(f"{name}: {why}; set it to null")
    _check_drawing(settings, "generate", settings.generate.model)
    _check_drawing(settings, "rerender", settings.rerender_model)
    check_method(settings)
    _check_controls(settings)


def _check_drawing(settings: Settings, section: str, model: str) -> None:
    """Raise for a sampler or a size of a section that the family of its model does not have."""
    family, options = _family(settings, model), getattr(settings, section)
    if family and options.sampler not in family.sampler_names:
        raise UnsuitableOptionError(
            f"{section}.sampler {options.sampler!r}: {model} has "
            f"{', '.join(family.sampler_names)}; set {section}.sampler"
        )
    step = family.multiple if family else 8
    for side in ("width", "height"):
        pixels = getattr(options, side)
        if pixels % step:
            raise UnsuitableOptionError(
                f"{section}.{side} {pixels}: expected a multiple of {step}, as {model} draws; set "
                f"{section}.{side}, as in {max(64, pixels // step * step)}"
            )


def check_method(settings: Settings) -> None:
    """Raise where a model is not one for its stage, or for the method of stage 3."""
    first, model, method = (
        settings.generate.model,
        settings.rerender_model,
        settings.rerender.method,
    )
    if (own := _method(settings, first)) in OWN_MODELS:
        raise UnsuitableOptionError(
            f"generate.model {first}: it is {OWN_MODELS[own][0]}, which does not draw from a text "
            f"alone; set it as rerender.model, with rerender.method {own}, and a text-to-image "
            "model as generate.model"
        )
    if (own := _method(settings, model)) in ("", method):
        return
    if method in OWN_MODELS:
        raise UnsuitableOptionError(wrong_model(method, f"{model} is none"))
    raise UnsuitableOptionError(
        f"rerender.model {model}: it is {OWN_MODELS[own][0]}; set rerender.method {own}"
    )


def _check_controls(settings: Settings) -> None:
    """Raise for more controls than the family of stage 3 takes at a time."""
    family, controls = _family(settings, settings.rerender_model), settings.leading
    most = family.most_controls if family else None
    if most is not None and len(controls) > most:
        raise UnsuitableOptionError(
            f"rerender.controls {', '.join(settings.rerender.controls)}: "
            f"{settings.rerender_model} takes one control at a time; set rerender.controls to one"
        )


def _method(settings: Settings, model: str) -> str:
    """The `rerender.method` that a model is for; "" where its files are not on this machine and it
    is not known."""
    family = _family(settings, model)
    return METHODS.get(_pipeline(settings, model), "controlnet") if family else ""


def unused(settings: Settings, given: Collection[str] = ()) -> Iterator[str]:
    """A line for each setting that the families of the models, or the method of stage 3, do
    without and that is not the default, or is among `given`, the dotted names that the user set."""
    models = {"generate.": settings.generate.model, "rerender.": settings.rerender_model}
    reasons = {
        name: why
        for section, model in models.items()
        if (family := _family(settings, model))
        for name, why in family.unused.items()
        if name.startswith(section)
    }
    reasons |= _WITHOUT.get(settings.rerender.method, {})
    for name, why in reasons.items():
        if _is_set(settings, name, given):
            yield f"{name} is not used: {why}"


def fixed_layer(settings: Settings) -> str:
    """Why `generate.clip_skip` changes nothing for the family of `generate.model`, or ""."""
    family = _family(settings, settings.generate.model)
    return family.fixed_layer if family else ""


def _family(settings: Settings, model: str) -> Family | None:
    return family_named(_pipeline(settings, model))


def _pipeline(settings: Settings, model: str) -> str:
    return pipeline_class(model, allow_pickle=settings.run.allow_pickle)


def _is_set(settings: Settings, name: str, given: Collection[str] = ()) -> bool:
    """Whether a setting holds something, and differs from its default or is among `given`."""
    value: Any = settings
    default: Any = None
    for key in name.split("."):
        if value is None:
            return False
        default = type(value).model_fields[key].default
        value = getattr(value, key)
    return bool(value) and (value != default or name in given)
