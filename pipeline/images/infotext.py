"""A1111's infotext, the `parameters` of a picture: formatted and parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError
from ...configs.schema import merge, nest
from ...configs.version import VERSION
from ...stages.prompts.lora_tags import parse as parse_tags

if TYPE_CHECKING:
    from ...stages.shot import Shot

_SCHEDULES = ("Karras", "Exponential")
_NO_MARKS = str.maketrans("", "", ":,")
"""Characters that A1111 removes from a LoRA's name in the list of hashes."""

_FACT = re.compile(r'\s*([^:,"]+):\s*("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"(\d+)\s*x\s*(\d+)")
_NEGATIVE = "Negative prompt:"
_NUMBERS = {"Steps": ("generate.steps", int), "CFG scale": ("generate.cfg_scale", float)}
_UPSCALERS = ("latent", "lanczos")
_HIRES = {"Hires upscale": "scale", "Denoising strength": "strength", "Hires steps": "steps"}


class InfotextError(UsageError):
    """A text holds no parameters of A1111."""


@dataclass(frozen=True)
class Infotext:
    """A parsed text.

    Attributes:
        settings: By dotted name.
        model: Name of the checkpoint in A1111.
        hashes: A1111's short hashes, as `model` and `lora:name`.
        inpainted: Whether the picture was inpainted; the text does not hold its source.
    """

    prompt: str
    negative_prompt: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    hashes: dict[str, str] = field(default_factory=dict)
    inpainted: bool = False


def format_infotext(
    shot: Shot, settings: Mapping[str, Any], hashes: Mapping[str, str] | None = None
) -> str:
    """Return the text of a generated or re-rendered shot; "" for an unchanged photo.

    Several prompts are joined by [SEP]. `settings`: the run's, as plain values; `hashes`: A1111's
    short hashes of single files, as `model` and `lora:name`.
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
    if hires:  # A1111 gives the size before the hires fix
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
    names = dict.fromkeys(tag.name for prompt in prompts for tag in parse_tags(prompt)[1])
    lora_hashes = [
        f"{name.translate(_NO_MARKS)}: {known[key]}"
        for name in names
        if (key := f"lora:{name}") in known
    ]
    if lora_hashes:
        facts["Lora hashes"] = ", ".join(lora_hashes)
    facts["Version"] = f"visuals {VERSION}"
    lines = [" [SEP] ".join(dict.fromkeys(prompts))]
    if negative:
        lines.append(f"Negative prompt: {negative}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in facts.items()))
    return "\n".join(lines)


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if set(text) & set(",:\n") else text


def parse_infotext(text: str) -> Infotext:
    """Parse a text; raises InfotextError where it has no line with steps and seed.

    >>> found = parse_infotext("a mug\\nNegative prompt: blurry\\nSteps: 20, Sampler: DPM++ 2M, "
    ...               "Schedule type: Karras, CFG scale: 7, Seed: 65, Size: 512x768")
    >>> found.prompt, found.negative_prompt, found.seed
    ('a mug', 'blurry', 65)
    >>> found.settings["generate.sampler"], found.settings["generate.height"]
    ('DPM++ 2M Karras', 768)
    """
    *words, last = text.strip().split("\n") if text.strip() else [""]
    facts = {m[1].strip(): _plain(m[2]) for m in _FACT.finditer(last)}
    try:
        seed = int(facts["Seed"])
        settings: dict[str, Any] = {
            ours: kind(facts[theirs])
            for theirs, (ours, kind) in _NUMBERS.items()
            if theirs in facts or theirs == "Steps"
        }
    except (KeyError, ValueError):
        raise InfotextError(
            f"{last[:60]!r}: expected A1111's line of parameters (Steps: …, Seed: …)"
        ) from None
    text = "\n".join(words)
    prompt, _, negative = (
        text.partition(_NEGATIVE)
        if text.startswith(_NEGATIVE)
        else text.partition("\n" + _NEGATIVE)
    )
    if facts.get("Sampler"):
        settings["generate.sampler"] = _sampler(facts["Sampler"], facts.get("Schedule type", ""))
    size = _SIZE.fullmatch(facts.get("Size", ""))
    if size:
        settings |= {"generate.width": int(size[1]), "generate.height": int(size[2])}
    skip = facts.get("Clip skip", "")
    if skip.isdigit() and int(skip) > 1:
        settings["generate.clip_skip"] = int(skip) - 1  # diffusers counts the layers left out
    if "Hires upscale" in facts:
        hires: dict[str, Any] = {
            ours: float(facts[t]) for t, ours in _HIRES.items() if _is_number(facts.get(t))
        }
        hires |= {"steps": int(hires["steps"]) or None} if "steps" in hires else {}
        upscaler = facts.get("Hires upscaler", "").lower()
        hires |= {"upscaler": upscaler} if upscaler in _UPSCALERS else {}
        settings["generate.hires"] = hires
    painted = {"Mask blur", "Inpaint area"} & set(facts)
    return Infotext(
        prompt=prompt.strip(),
        negative_prompt=negative.strip(),
        seed=seed % 2**32,
        settings=settings,
        model=facts.get("Model", ""),
        hashes=_hashes(facts),
        inpainted=bool(painted or ("Denoising strength" in facts and "Hires upscale" not in facts)),
    )


def _hashes(facts: dict[str, str]) -> dict[str, str]:
    out = {"model": facts["Model hash"]} if facts.get("Model hash") else {}
    for pair in facts.get("Lora hashes", "").split(","):
        name, _, value = pair.strip().rpartition(": ")
        out |= {f"lora:{name.strip()}": value} if name else {}
    return out


def _sampler(name: str, schedule: str) -> str:
    """Sampler and schedule as one name, as A1111 had them before they were two."""
    from ...stages.diffusion.samplers import NAMES

    both = f"{name} {schedule}".strip()
    return both if both in NAMES else name


def _plain(value: str) -> str:
    value = value.strip()
    if value.startswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            return value.strip('"')
    return value


def _is_number(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"\d+(\.\d+)?", text) is not None
