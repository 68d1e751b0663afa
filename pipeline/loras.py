"""The LoRAs of a run, looked at before any model is loaded: do they fit, what do they ask for.

Reads headers only. What a LoRA's header recommends (clip skip, resolution) goes below what the
user set and above what a preset that ships says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import sqrt
from typing import TYPE_CHECKING, Any

from ..checkpoints import bases, lora_folders
from ..stages import prompt

if TYPE_CHECKING:
    from ..checkpoints.lora_files import LoraFile
    from ..configs.schema import Settings

Tell = Callable[[str], None]


def folders(settings: Settings) -> tuple[str, ...]:
    """Where `<lora:name:weight>` is looked for; catalogue names become folders."""
    from ..checkpoints.catalog import resolve

    return tuple(resolve(folder) for folder in settings.generate.lora_dirs)


def texts(settings: Settings) -> list[str]:
    """Every prompt of the settings."""
    own = [c.prompt or "" for c in settings.classes.values()]
    return [settings.generate.prompt, settings.rerender.prompt or "", *own]


def used(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, LoraFile]:
    """The files that the tags of the settings' and other prompts mean, by name, in order.

    Raises LoraNotFound, BrokenLora, and WrongBase for one that does not fit `generate.model`.
    """
    places = folders(settings)
    found = {}
    model = settings.generate.model
    for text in dict.fromkeys((*texts(settings), *prompts)):
        for tag in prompt.parse(text)[1]:
            if tag.name not in found:
                file = lora_folders.read(lora_folders.find(tag.name, places))
                file.require_fit(bases.of_checkpoint(model), f"generate.model {model!r}")
                found[tag.name] = file
    return found


def ready(
    settings: Settings,
    prompts: Iterable[str],
    given: Collection[str],
    *,
    tell: Tell,
    warn: Tell,
) -> Settings:
    """The settings with what the LoRAs' headers recommend; warns of trigger words left out."""
    files = used(settings, prompts)
    for line in missing_triggers(settings, files, prompts):
        warn(line)
    return defaults(settings, files.values(), given, tell)


def fingerprints(settings: Settings) -> dict[str, str]:
    """SHA-256 of the LoRAs that the settings' prompts name, as `lora:name`."""
    try:
        files = used(settings)
    except ValueError:  # a run without stages 1 and 3 needs none of them
        return {}
    return {f"lora:{name}": f"sha256:{lora_folders.sha256(f.path)}" for name, f in files.items()}


def missing_triggers(
    settings: Settings, files: dict[str, LoraFile], prompts: Iterable[str] = ()
) -> list[str]:
    """A line for each LoRA whose trigger word stands in no prompt that names it."""
    out = []
    whole = [prompt.parse(t) for t in (*texts(settings), *prompts)]
    for name, file in files.items():
        if file.trigger is None:
            continue
        word, where = file.trigger
        beside = [text for text, tags in whole if any(t.name == name for t in tags)]
        if any(word.lower() not in text.lower() for text in beside):
            perhaps = "perhaps " if where == "ss_output_name" else ""
            out.append(
                f"LoRA {name!r} was trained with {perhaps}the word {word!r} (its {where}), which "
                "the prompt lacks; put it in"
            )
    return out


def defaults(
    settings: Settings, files: Collection[LoraFile], given: Collection[str], tell: Tell
) -> Settings:
    """The settings with the clip skip and resolution of the first LoRA that names them.

    `given`: the dotted names that the user set, which stay. A larger resolution is taken as an
    area, in the shape of the preset's picture, in steps of 64 pixels; a smaller one is not, since
    the checkpoint itself draws worse below its own size.
    """
    g = settings.generate
    changes: dict[str, Any] = {}
    for file in files:
        skip = file.clip_skip
        counted = file.base.family in (None, "SD 1.x", "SD 2.x")  # SDXL has a fixed layer
        if skip and skip > 1 and counted and "clip_skip" not in changes and g.clip_skip is None:
            if "generate.clip_skip" in given:
                tell(f"LoRA {file.name!r} was trained with clip skip {skip}; yours stays")
                continue
            changes["clip_skip"] = skip - 1
            tell(
                f"LoRA {file.name!r} was trained with clip skip {skip}: "
                f"generate.clip_skip is {skip - 1}"
            )
    for file in files:
        size = _size((g.width, g.height), file.resolution)
        if size is None or "width" in changes:
            continue
        width, height = file.resolution or size
        if {"generate.width", "generate.height"} & set(given):
            tell(
                f"LoRA {file.name!r} was trained at {width}x{height}; "
                f"your {g.width}x{g.height} stays"
            )
            break
        changes |= {"width": size[0], "height": size[1]}
        tell(
            f"LoRA {file.name!r} was trained at {width}x{height}: pictures are "
            f"{size[0]}x{size[1]}, not the preset's {g.width}x{g.height}"
        )
    if not changes:
        return settings
    return settings.model_copy(update={"generate": g.model_copy(update=changes)})


def _size(size_wh: tuple[int, int], trained: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size in the preset's shape with the area of the training, None where that is smaller."""
    if trained is None:
        return None
    scale = sqrt(trained[0] * trained[1] / (size_wh[0] * size_wh[1]))
    if scale <= 1:
        return None
    width, height = (max(64, round(side * scale / 64) * 64) for side in size_wh)
    return (width, height) if (width, height) != size_wh else None
