"""How a picture was made, as A1111's `parameters` text, which every image browser reads.

Knows shots and plain settings, no files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.overrides import nest
from ...configs.schema import merge
from ...stages.prompts.lora_tags import parse

if TYPE_CHECKING:
    from ...stages.shot import Shot

_SCHEDULES = ("Karras", "Exponential")
_NO_MARKS = str.maketrans("", "", ":,")
"""What A1111 leaves out of a LoRA's name, so that the list of hashes can be read."""


def text(shot: Shot, settings: Mapping[str, Any], hashes: Mapping[str, str] | None = None) -> str:
    """The text of a drawn or re-rendered shot; "" for a photo as it came.

    `settings`: a run's, as plain values. Where several prompts were drawn from they are joined by
    [SEP]. `hashes`: as `hashes.of` gives them; a model that is no single file has none.
    """
    known = hashes or {}
    settings = merge(settings, nest(shot.settings))
    drawn = shot.status == "enhanced"
    stage = settings.get("rerender" if drawn else "generate")
    if not stage or not (drawn or hasattr(shot.source, "prompt")):
        return ""
    prompts = shot.prompts if drawn else (getattr(shot.source, "prompt", ""),)
    usual = stage.get("negative_prompt") or settings["generate"].get("negative_prompt", "")
    against = shot.negative_prompts if drawn else (getattr(shot.source, "negative_prompt", ""),)
    negative = " [SEP] ".join(dict.fromkeys(against)) or usual
    image = shot.image
    facts: dict[str, Any] = {"Steps": stage["steps"]}
    sampler, _, schedule = stage["sampler"].rpartition(" ")
    if schedule in _SCHEDULES:
        facts |= {"Sampler": sampler, "Schedule type": schedule}
    else:
        facts["Sampler"] = stage["sampler"]
    facts |= {"CFG scale": stage["cfg_scale"], "Seed": shot.seed}
    hires = None if drawn else stage.get("hires")
    if hires:  # A1111's is the size before it
        facts["Size"] = f"{stage['width']}x{stage['height']}"
    elif image is not None:
        facts["Size"] = f"{image.shape[1]}x{image.shape[0]}"
    hosted = not drawn and getattr(shot.source, "prediction", None)
    model = settings["generate"]["version" if hosted else "model"]
    if "model" in known and not hosted:
        facts["Model hash"], model = known["model"], Path(model).stem
    facts["Model"] = model
    if drawn:
        facts |= {
            "Denoising strength": shot.metrics.get("strength", stage["strength"]),
            "Mask blur": stage["mask_blur"],
            "Inpaint area": "Only masked",
            "Masked area padding": stage["padding"],
        }
    if hires:
        facts |= {
            "Denoising strength": hires["strength"],
            "Hires upscale": hires["scale"],
            **({"Hires steps": hires["steps"]} if hires["steps"] else {}),
            "Hires upscaler": hires["upscaler"].capitalize(),
        }
    if settings["generate"].get("clip_skip"):
        # diffusers counts the layers left out, A1111 the one that is read.
        facts["Clip skip"] = settings["generate"]["clip_skip"] + 1
    names = dict.fromkeys(tag.name for prompt in prompts for tag in parse(prompt)[1])
    said = [
        f"{name.translate(_NO_MARKS)}: {known[key]}"
        for name in names
        if (key := f"lora:{name}") in known
    ]
    if said:
        facts["Lora hashes"] = ", ".join(said)
    facts["Version"] = _version()
    lines = [" [SEP] ".join(dict.fromkeys(prompts))]
    if negative:
        lines.append(f"Negative prompt: {negative}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in facts.items()))
    return "\n".join(lines)


def _quoted(value: Any) -> str:
    said = str(value)
    return json.dumps(said, ensure_ascii=False) if set(said) & set(",:\n") else said


def _version() -> str:
    from ...configs.version import VERSION

    return f"visuals {VERSION}"
