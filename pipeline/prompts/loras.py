"""The LoRAs of a run, looked at before any model is loaded: do they fit, what do they ask for.

Reads headers only. What a LoRA's header recommends (clip skip, resolution) goes below what the
user set and above what a preset that ships says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import sqrt
from typing import TYPE_CHECKING, Any

from ...checkpoints.identify import base_family
from ...checkpoints.lora import search as lora_search
from ...stages.prompts import dynamic_prompts, lora_tags
from . import wildcards

if TYPE_CHECKING:
    from ...checkpoints.lora.file import LoraFile
    from ...configs.schema import Settings

Tell = Callable[[str], None]


def lora_folders(settings: Settings) -> tuple[str, ...]:
    """Where `<lora:name:weight>` is looked for; catalogue names become folders."""
    from ...checkpoints.hub.pull import ensure_local

    return tuple(ensure_local(folder) for folder in settings.generate.lora_dirs)


def prompt_texts(settings: Settings, prompts: Iterable[str] = ()) -> list[str]:
    """Every prompt of the settings, and these, each once; choices in them drawn by seed 0."""
    own = [c.prompt or "" for c in settings.classes.values()]
    templates = (settings.generate.prompt, settings.rerender.prompt or "", *own, *prompts)
    known = wildcards.load_wildcards(settings)
    return list(dict.fromkeys(dynamic_prompts.draw(text, 0, known).text for text in templates))


def find_loras(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, LoraFile]:
    """The files that the tags of the settings' and other prompts mean, by name, in order.

    Raises LoraNotFoundError, LoraFileError, and WrongBaseError where a LoRA does not fit
    `generate.model`.
    """
    places = lora_folders(settings)
    found = {}
    model = settings.generate.model
    for text in prompt_texts(settings, prompts):
        for tag in lora_tags.parse(text)[1]:
            if tag.name not in found:
                file = lora_search.read(lora_search.find(tag.name, places))
                base = base_family.base_of_checkpoint(model, allow_pickle=settings.run.allow_pickle)
                file.require_fit(base, f"generate.model {model!r}")
                found[tag.name] = file
    return found


def apply_lora_recommendations(
    settings: Settings,
    prompts: Iterable[str],
    given: Collection[str],
    *,
    draws: bool = True,
    tell: Tell,
    warn: Tell,
) -> Settings:
    """The settings with what the LoRAs' headers recommend; warns of trigger words left out.

    `given`: the dotted names that the user set; `draws`: whether stage 1 runs.
    """
    files = find_loras(settings, prompts)
    for line in missing_triggers(settings, files, prompts):
        warn(line)
    settings = with_clip_skip(settings, files.values(), given, tell)
    return with_size(settings, files.values(), given, tell) if draws else settings


def hash_loras(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256 of the LoRAs that the settings' and other prompts name, as `lora:name`."""
    try:
        files = find_loras(settings, prompts)
    except ValueError:  # a run without stages 1 and 3 needs none of them
        return {}
    return {f"lora:{name}": f"sha256:{lora_search.sha256(f.path)}" for name, f in files.items()}


def missing_triggers(
    settings: Settings, files: dict[str, LoraFile], prompts: Iterable[str] = ()
) -> list[str]:
    """A line for each LoRA whose trigger word stands in no prompt that names it."""
    out = []
    whole = [lora_tags.parse(text) for text in prompt_texts(settings, prompts)]
    for name, file in files.items():
        if file.trigger is None:
            continue
        word, where = file.trigger
        beside = [text for text, tags in whole if any(t.name == name for t in tags)]
        parts = [part.strip().lower() for part in word.split(",") if part.strip()]
        if any(not any(part in text.lower() for part in parts) for text in beside):
            perhaps = "perhaps " if where == "ss_output_name" else ""
            out.append(
                f"LoRA {name!r} was trained with {perhaps}the word {word!r} (its {where}), which "
                "the prompt lacks; put it in"
            )
    return out


def with_clip_skip(
    settings: Settings, files: Iterable[LoraFile], given: Collection[str], tell: Tell
) -> Settings:
    """The settings with the clip skip of the first LoRA that names one, unless the user did.

    kohya and A1111 count from 1, diffusers from 0. SDXL reads a fixed layer.
    """
    counted = (None, "SD 1.x", "SD 2.x")
    for file in files:
        skip = file.clip_skip
        if skip is None or skip < 2 or file.base.family not in counted:
            continue
        said = f"LoRA {file.name!r} was trained with clip skip {skip}"
        if "generate.clip_skip" in given or settings.generate.clip_skip is not None:
            if settings.generate.clip_skip != skip - 1:
                tell(f"{said}; your generate.clip_skip {settings.generate.clip_skip} stays")
            return settings
        tell(f"{said}: generate.clip_skip is {skip - 1}")
        return _changed(settings, clip_skip=skip - 1)
    return settings


def with_size(
    settings: Settings, files: Iterable[LoraFile], given: Collection[str], tell: Tell
) -> Settings:
    """The settings with the size of the first LoRA that was trained at a larger one than theirs.

    It is taken as an area, in the shape of the preset's picture, in steps of 64 pixels, unless
    the user set a size. A smaller one is not taken: the checkpoint itself draws worse below its
    own size.
    """
    g = settings.generate
    for file in files:
        size = _size((g.width, g.height), file.resolution)
        if size is None or file.resolution is None:
            continue
        said = f"LoRA {file.name!r} was trained at {file.resolution[0]}x{file.resolution[1]}"
        if {"generate.width", "generate.height"} & set(given):
            tell(f"{said}; your {g.width}x{g.height} stays")
            return settings
        tell(f"{said}: pictures are {size[0]}x{size[1]}, not the preset's {g.width}x{g.height}")
        return _changed(settings, width=size[0], height=size[1])
    return settings


def _changed(settings: Settings, **changes: Any) -> Settings:
    generate = settings.generate.model_copy(update=changes)
    return settings.model_copy(update={"generate": generate})


def _size(size_wh: tuple[int, int], trained: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size in the preset's shape with the area of the training, None where that is smaller."""
    if trained is None:
        return None
    scale = sqrt(trained[0] * trained[1] / (size_wh[0] * size_wh[1]))
    if scale <= 1:
        return None
    width, height = (max(64, round(side * scale / 64) * 64) for side in size_wh)
    return (width, height) if (width, height) != size_wh else None
