"""What is wrong with a settings file, all of it, before anything is loaded. Knows no torch."""

from __future__ import annotations

from typing import Any

from ...configs.errors import one_line


def problems(preset: str) -> list[str]:
    """One line each: got, expected, remedy. Empty for a file that can be used.

    Looks at keys and values, samplers' names, models' names, LoRA tags and pictures.
    """
    from ...configs.schema import Settings, SettingsError, load_settings, raw

    try:
        values = raw(preset)
    except SettingsError as error:
        return error.problems
    found = _samplers(values)
    settings: Settings | None = None
    try:
        settings = load_settings(preset)
    except SettingsError as error:
        found = [*error.problems, *found]
    return found if settings is None else [*found, *_words(settings), *_models(settings)]


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


def _words(settings: Any) -> list[str]:
    from ...checkpoints.lora import search as lora_search
    from ...stages.prompts import lora_tags
    from ..build import text_to_image
    from ..prompts.loras import lora_folders

    def tags() -> None:
        own = [c.prompt or "" for c in settings.classes.values()]
        for text in (settings.generate.prompt, settings.rerender.prompt or "", *own):
            for tag in lora_tags.parse(text)[1]:
                lora_search.find(tag.name, lora_folders(settings))

    return [said for said in (_said(tags), _said(text_to_image.check, settings)) if said]


def _models(settings: Any) -> list[str]:
    from ...checkpoints.catalog.names import resolve
    from ...checkpoints.formats import pickles
    from ...checkpoints.formats.convert_pickle import is_pickled
    from ..build import text_to_image

    def usable(name: str) -> None:
        where = resolve(name)
        if is_pickled(where):
            pickles.require(where, settings.run.allow_pickle)

    names = [settings.generate.model, settings.detect.model, settings.segment.model]
    names += [c.model for c in settings.leading] + text_to_image.refs(settings)
    return [said for said in (_said(usable, name) for name in dict.fromkeys(names)) if said]


def _said(check: Any, *arguments: Any) -> str:
    """What a check complains of; "" where it does not."""
    try:
        check(*arguments)
    except ValueError as error:
        return one_line(error)
    return ""
