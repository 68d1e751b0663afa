"""LoRAs of a run: whether they fit the model, and what they recommend, by their headers.

Recommendations (clip skip, resolution) override a preset that ships, but not the user.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from math import sqrt
from typing import TYPE_CHECKING, Any

from ...checkpoints.identify import base_family
from ...checkpoints.lora import search as lora_search
from ...configs.errors import UsageError
from ...stages.prompts import dynamic_prompts, lora_tags
from . import wildcards
from .product_classes import class_prompts

if TYPE_CHECKING:
    from ...checkpoints.lora.file import LoraFile
    from ...configs.schema import Settings

Tell = Callable[[str], None]


def lora_folders(settings: Settings) -> tuple[str, ...]:
    """Return the folders in which `<lora:name:weight>` is searched; catalogue names resolved."""
    from ...checkpoints.hub.first_use import local_or_repository

    return tuple(local_or_repository(folder) for folder in settings.generate.lora_dirs)


def prompt_texts(settings: Settings, prompts: Iterable[str] = ()) -> list[str]:
    """Return the settings' prompts, those and the edits of their classes, and others, each once,
    with the variants of their choices."""
    return _variants(settings, (settings.generate.prompt, *_of_stage_3(settings), *prompts))


def _of_stage_3(settings: Settings) -> tuple[str, ...]:
    return settings.rerender.prompt or "", *class_prompts(settings)


def _variants(settings: Settings, templates: Iterable[str]) -> list[str]:
    known = wildcards.load_wildcards(settings)
    texts = (text for template in templates for text in dynamic_prompts.variants(template, known))
    return list(dict.fromkeys(texts))


def find_loras(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, LoraFile]:
    """Return the LoRA files of the tags in the settings' prompts and edits and in others, by name,
    in order.

    Raises LoraNotFoundError or LoraFileError.
    """
    names = _names(settings, (settings.generate.prompt, *_of_stage_3(settings), *prompts))
    places = lora_folders(settings) if names else ()
    return {name: lora_search.read(lora_search.find(name, places)) for name in names}


def _names(settings: Settings, templates: Iterable[str]) -> list[str]:
    tags = (tag for text in _variants(settings, templates) for tag in lora_tags.parse(text)[1])
    return list(dict.fromkeys(tag.name for tag in tags))


def check_loras(
    settings: Settings,
    prompts: Iterable[str] = (),
    edits: Iterable[str] = (),
    needs: Collection[str] = ("generate", "rerender"),
) -> None:
    """Raise the first of `lora_errors`."""
    for error in lora_errors(settings, prompts, edits, needs):
        raise error


def lora_errors(
    settings: Settings,
    prompts: Iterable[str] = (),
    edits: Iterable[str] = (),
    needs: Collection[str] = ("generate", "rerender"),
) -> Iterator[UsageError]:
    """An error for each LoRA that is not there, cannot be read or does not fit the model of its
    stage.

    `prompts` are of stage 1, `edits` of stage 3; the settings' own texts are checked too.

    Args:
        needs: The stages that run; a LoRA need not fit the model of another.
    """
    own, prompt = settings.rerender.model, settings.generate.prompt
    first = "generate.model", settings.generate.model
    last = ("rerender.model", own) if own else first
    shared = () if own or settings.rerender.prompt else (prompt,)
    stages = {
        "generate": (_names(settings, (prompt, *prompts)), *first),
        "rerender": (_names(settings, (*shared, *_of_stage_3(settings), *edits)), *last),
    }
    names = dict.fromkeys(name for used, _, _ in stages.values() for name in used)
    places = lora_folders(settings) if names else ()
    for name in names:
        try:
            file = lora_search.read(lora_search.find(name, places))
            for stage in needs:
                used, setting, model = stages.get(stage, ((), *first))
                if name in used:
                    base = base_family.base_of_checkpoint(
                        model, allow_pickle=settings.run.allow_pickle
                    )
                    file.require_fit(base, f"{setting} {model!r}")
        except UsageError as error:
            yield error


def apply_lora_recommendations(
    settings: Settings,
    prompts: Iterable[str],
    given: Collection[str],
    *,
    draws: bool = True,
    tell: Tell,
    warn: Tell,
) -> Settings:
    """Return the settings with what the LoRAs recommend; warn of missing trigger words.

    `given`: dotted names that the user set; `draws`: whether stage 1 runs.
    """
    files = find_loras(settings, prompts)
    for line in [*missing_triggers(settings, files, prompts), *map(unread_keys, files.values())]:
        if line:
            warn(line)
    settings = with_clip_skip(settings, files.values(), given, tell)
    return with_size(settings, files.values(), given, tell) if draws else settings


def hash_loras(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of the LoRAs in the settings' prompts and others, as `lora:name`."""
    try:
        files = find_loras(settings, prompts)
    except ValueError:  # a run without stages 1 and 3 needs none of them
        return {}
    return {f"lora:{name}": f"sha256:{lora_search.sha256(f.path)}" for name, f in files.items()}


def missing_triggers(
    settings: Settings, files: dict[str, LoraFile], prompts: Iterable[str] = ()
) -> list[str]:
    """Return a warning for each LoRA whose trigger word is missing in a prompt that names it."""
    out = []
    parsed = [lora_tags.parse(text) for text in prompt_texts(settings, prompts)]
    for name, file in files.items():
        if file.trigger is None:
            continue
        word, where = file.trigger
        texts = [text for text, tags in parsed if any(t.name == name for t in tags)]
        parts = [part.strip().lower() for part in word.split(",") if part.strip()]
        if any(not any(part in text.lower() for part in parts) for text in texts):
            perhaps = "perhaps " if where == "ss_output_name" else ""
            out.append(
                f"LoRA {name!r} was trained with {perhaps}the word {word!r} (its {where}), which "
                "the prompt lacks; add it"
            )
    return out


def unread_keys(file: LoraFile) -> str:
    """Return a warning of the keys of a LoRA that do nothing; "" without any."""
    kinds = ", ".join(f"{count} of {kind}" for kind, count in file.unread.items())
    return f"LoRA {file.name!r}: keys that are not read: {kinds}" if kinds else ""


def with_clip_skip(
    settings: Settings, files: Iterable[LoraFile], given: Collection[str], tell: Tell
) -> Settings:
    """Return the settings with the clip skip of the first LoRA that has one, unless it is set.

    kohya and A1111 count from 1, diffusers from 0. SDXL reads a fixed layer.
    """
    families = (None, "SD 1.x", "SD 2.x")
    for file in files:
        skip = file.clip_skip
        if skip is None or skip < 2 or file.base.family not in families:
            continue
        message = f"LoRA {file.name!r} was trained with clip skip {skip}"
        if "generate.clip_skip" in given or settings.generate.clip_skip is not None:
            if settings.generate.clip_skip != skip - 1:
                tell(f"{message}; your generate.clip_skip {settings.generate.clip_skip} stays")
            return settings
        tell(f"{message}: generate.clip_skip is {skip - 1}")
        return _changed(settings, clip_skip=skip - 1)
    return settings


def with_size(
    settings: Settings, files: Iterable[LoraFile], given: Collection[str], tell: Tell
) -> Settings:
    """Return the settings with the size of the first LoRA that was trained at a larger one.

    The area is taken, at the aspect ratio of the preset, in steps of 64 pixels, unless the user
    set a size. Smaller sizes are ignored: the base model is worse below its own size.
    """
    g = settings.generate
    for file in files:
        size = _size((g.width, g.height), file.resolution)
        if size is None or file.resolution is None:
            continue
        message = f"LoRA {file.name!r} was trained at {file.resolution[0]}x{file.resolution[1]}"
        if {"generate.width", "generate.height"} & set(given):
            tell(f"{message}; your {g.width}x{g.height} stays")
            return settings
        tell(f"{message}: pictures are {size[0]}x{size[1]}, not the preset's {g.width}x{g.height}")
        return _changed(settings, width=size[0], height=size[1])
    return settings


def _changed(settings: Settings, **changes: Any) -> Settings:
    generate = settings.generate.model_copy(update=changes)
    return settings.model_copy(update={"generate": generate})


def _size(size_wh: tuple[int, int], trained: tuple[int, int] | None) -> tuple[int, int] | None:
    """The area of the training at the preset's aspect ratio; None if it is smaller."""
    if trained is None:
        return None
    scale = sqrt(trained[0] * trained[1] / (size_wh[0] * size_wh[1]))
    if scale <= 1:
        return None
    width, height = (max(64, round(side * scale / 64) * 64) for side in size_wh)
    return (width, height) if (width, height) != size_wh else None
