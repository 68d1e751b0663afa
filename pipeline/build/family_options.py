"""Holds settings against the family of their model: what it refuses, and what it does not use."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from ...checkpoints.catalog.entry import UnknownCheckpointError
from ...checkpoints.identify import base_family
from ...checkpoints.identify.base_family import pipeline_class
from ...checkpoints.identify.model_kind import misfit
from ...configs.errors import UsageError
from ...configs.schema import Settings
from ...stages.diffusion import samplers
from ...stages.families.known import family_named
from . import replicate

_WITHOUT = {
    "edit": {
        "rerender.strength": "an edit model draws all of its window anew",
        "rerender.edit_strength": "an edit model draws all of its window anew",
        "rerender.controls": "an edit model takes no control maps",
        "rerender.cache_interval": "DeepCache is for UNets",
        "rerender.color_correction": "colours are matched at the seam of every edit",
        "rerender.keep_color": "an edit says what changes",
    },
    "inpaint": {"rerender.controls": "an inpainting model takes no control maps"},
}
"""Settings that a `rerender.method` does without, and why."""

_DRAWING = ("generate", "rerender")

if TYPE_CHECKING:
    from ...stages.diffusion.family import Family


class UnsuitableOptionError(UsageError):
    """A setting that the model's family cannot follow."""


def check(settings: Settings, needs: Collection[str] = _DRAWING) -> None:
    """Raise for the first of `problems`."""
    for problem in problems(settings, needs):
        raise UnsuitableOptionError(problem)


def problems(settings: Settings, needs: Collection[str] = _DRAWING) -> Iterator[str]:
    """A sentence for each model of another kind than its setting asks for, and for each sampler,
    size or option that the family of a model does not have, of the stages that run, `needs`.

    A repository whose files are not on this machine is checked when it is loaded.
    """
    wrong = _wrong_models(settings, needs)
    yield from wrong.values()
    if _loads_base(settings, needs) and "generate.model" not in wrong:
        family = _family(settings, settings.generate.model)
        for name, why in family.refused.items() if family else ():
            if _is_set(settings, name):
                yield f"{name}: {why}; set it to null"
        if "generate" in needs:
            yield from _wrong_drawing(settings, "generate", settings.generate.model)
    drawn_by = "rerender.model" if settings.rerender.model else "generate.model"
    if "rerender" in needs and drawn_by not in wrong:
        yield from _wrong_drawing(settings, "rerender", settings.rerender_model)
        yield from _too_many_controls(settings)
        yield from _wrong_controlnets(settings, wrong)


def check_models(settings: Settings) -> None:
    """Raise for the first model of another kind than its setting asks for."""
    for problem in _wrong_models(settings).values():
        raise UnsuitableOptionError(problem)


def _loads_base(settings: Settings, needs: Collection[str]) -> bool:
    """Whether `generate.model` is loaded, for stage 1 or for a stage 3 without a model of its
    own."""
    return "generate" in needs or ("rerender" in needs and settings.rerender.model is None)


def _wrong_models(settings: Settings, needs: Collection[str] = _DRAWING) -> dict[str, str]:
    """A sentence for each setting whose model is of another kind."""
    r, method = settings.rerender, settings.rerender.method
    wanted = {}
    if _loads_base(settings, needs):
        wanted["generate.model"] = settings.generate.model, "text-to-image"
    if "rerender" in needs and r.model:
        wanted["rerender.model"] = r.model, "text-to-image" if method == "controlnet" else method
    if "generate" in needs and settings.refiner and not replicate.draws(settings):
        wanted["refiner.model"] = settings.refiner.model, "refiner"  # a host has one of its own
    if "rerender" in needs and method == "controlnet":
        wanted |= {
            f"controls.{n}.model": (settings.controls[n].model, "controlnet") for n in r.controls
        }
    out = {}
    for name, (model, kind) in wanted.items():
        try:
            if why := misfit(model, kind, allow_pickle=settings.run.allow_pickle):
                out[name] = f"{name} {model}: {why}; set {name}"
        except UnknownCheckpointError as error:
            out[name] = str(error)
    return out


def _wrong_drawing(settings: Settings, section: str, model: str) -> Iterator[str]:
    """A sentence for a sampler and each side of a section that its model's family does not have;
    not for a sampler that no family has."""
    family, options = _family(settings, model), getattr(settings, section)
    known = family.sampler_names if family else samplers.NAMES
    if options.sampler in samplers.NAMES and options.sampler not in known:
        yield (
            f"{section}.sampler {options.sampler!r}: {model} has {', '.join(known)}; set "
            f"{section}.sampler"
        )
    step = family.multiple if family else 8
    for side in ("width", "height"):
        pixels = getattr(options, side)
        if pixels % step:
            yield (
                f"{section}.{side} {pixels}: expected a multiple of {step}, as {model} draws; set "
                f"{section}.{side}, as in {max(64, pixels // step * step)}"
            )


def _too_many_controls(settings: Settings) -> Iterator[str]:
    """A sentence for more controls than the family of stage 3 takes at a time."""
    family, controls = _family(settings, settings.rerender_model), settings.leading
    most = family.most_controls if family else None
    if most is not None and len(controls) > most:
        yield (
            f"rerender.controls {', '.join(settings.rerender.controls)}: "
            f"{settings.rerender_model} takes one control at a time; set rerender.controls to one"
        )


def _wrong_controlnets(settings: Settings, wrong: Collection[str]) -> Iterator[str]:
    """A sentence for each ControlNet that was made for another base than the model of stage 3;
    `wrong`: settings whose models are of another kind."""
    if settings.rerender.method != "controlnet":
        return
    model, pickles = settings.rerender_model, settings.run.allow_pickle
    base = base_family.base_of_checkpoint(model, allow_pickle=pickles)
    for name in settings.rerender.controls:
        if f"controls.{name}.model" in wrong:
            continue
        net = settings.controls[name].model
        own = base_family.base_of_controlnet(net)
        if not own.fits(base):
            yield (
                f"controls.{name}.model {net}: it was made for {own.beside(base)}, and {model} is "
                f"{base.beside(own)}; set controls.{name}.model"
            )


def unused(
    settings: Settings,
    given: Collection[str] = (),
    needs: Collection[str] = _DRAWING,
    negatives: Collection[str] = (),
) -> Iterator[str]:
    """A line for each setting of the stages that run, `needs`, that the families of the models, or
    the method of stage 3, do without and that is not the default, or is among `given`, the dotted
    names that the user set. `negatives`: negative prompts of a table."""
    models = {"generate": settings.generate.model, "rerender": settings.rerender_model}
    if replicate.draws(settings):
        del models["generate"]
    families = {name: _family(settings, models[name]) for name in models if name in needs}
    is_own = any(text and text != settings.generate.negative_prompt for text in negatives)
    own = {"generate.negative_prompt"} if is_own else set()
    given = {*given, *own}
    reasons: dict[str, str] = {}
    for section, family in families.items():
        if family:
            reasons |= {n: why for n, why in family.unused.items() if n.startswith(section)}
            reasons |= _without_guidance(settings, section, models[section], family, given)
    if "rerender" in needs:
        reasons |= _WITHOUT.get(settings.rerender.method, {})
    stored = settings.run.weights in ("fp8", "4bit")
    whys = [family.unused.get("run.weights", "") if family else "" for family in families.values()]
    if stored and whys and all(whys):
        reasons["run.weights"] = whys[0]
    for name, why in reasons.items():
        if name in own or _is_set(settings, name, given):
            yield f"{name} is not used: {why}"


def _without_guidance(
    settings: Settings, section: str, model: str, family: Family, given: Collection[str]
) -> dict[str, str]:
    """Settings of a section that do nothing because its model is drawn without guidance, with the
    reason: a scale that the model does not take, or a negative prompt at a scale of 1."""
    scale = getattr(settings, section).cfg_scale
    if not family.takes_guidance(base_family.transformer_config(model)):
        return {f"{section}.cfg_scale": f"{model} takes no guidance"} if scale > 1 else {}
    name = f"{section}.negative_prompt"
    if scale > 1 or name not in given or name in family.unused:
        return {}
    return {name: f"at {section}.cfg_scale {scale:g} there is no guidance; set it above 1"}


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
