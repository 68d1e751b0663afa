"""What is wrong with a settings file, all of it, before anything is loaded. Knows no torch."""

from __future__ import annotations

from typing import Any

from ...configs.errors import one_line


def problems(preset: str) -> list[str]:
    """One line each: got, expected, remedy. Empty for a file that can be used.

    Looks at keys and values, samplers' and models' names, what the models' families refuse, LoRA
    tags and pictures.
    """
    from ...configs.schema import SettingsError, load_settings, raw

    try:
        values = raw(preset)
    except SettingsError as error:
        return error.problems
    found = _samplers(values)
    try:
        settings = load_settings(preset)
    except SettingsError as error:
        return [*error.problems, *found]
    for look in (_models, _families, _loras, _pictures):
        try:
            found += look(settings)
        except ValueError as error:  # a file that cannot be read at all
            found.append(one_line(error))
    return [*filter(None, dict.fromkeys(found))]


def _samplers(values: dict[str, Any]) -> list[str]:
    """Read before the values are checked, so that they are told with what else is wrong."""
    from ...stages.diffusion import samplers

    out = []
    for section in ("generate", "rerender"):
        part = values.get(section)
        name = part.get("sampler") if isinstance(part, dict) else None
        if isinstance(name, str) and name not in samplers.NAMES:
            out.append(f"{section}.sampler: {_said(samplers.scheduler, name, {})}")
    return out


def _families(settings: Any) -> list[str]:
    from ..build import family_options

    return list(family_options.problems(settings))


def _loras(settings: Any) -> list[str]:
    """LoRAs that are not there, and those of stage 3 that do not fit its model; that of stage 1 may
    get other prompts."""
    from ..prompts import loras

    generate = settings.generate.model_copy(update={"prompt": ""})
    redraws = settings.model_copy(update={"generate": generate})
    errors = [
        *loras.lora_errors(settings, needs=()), *loras.lora_errors(redraws, needs=("rerender",)),
    ]  # fmt: skip
    return list(map(one_line, errors))


def _pictures(settings: Any) -> list[str]:
    from ..build import text_to_image

    return [_said(text_to_image.check, settings)]


def _models(settings: Any) -> list[str]:
    from ...checkpoints.catalog.names import resolve
    from ...checkpoints.formats import pickles
    from ...checkpoints.formats.convert_pickle import is_pickled
    from ..build import text_to_image

    def usable(name: str) -> None:
        where = resolve(name)
        if is_pickled(where):
            pickles.require(where, settings.run.allow_pickle)

    names = [settings.generate.model, settings.rerender_model]
    names += [settings.detect.model, settings.segment.model]
    names += [c.model for c in settings.leading] + text_to_image.refs(settings)
    return [said for said in (_said(usable, name) for name in dict.fromkeys(names)) if said]


def _said(check: Any, *arguments: Any) -> str:
    """What a check complains of; "" where it does not."""
    try:
        check(*arguments)
    except ValueError as error:
        return one_line(error)
    return ""
