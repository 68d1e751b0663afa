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
from ...configs.text_files import parse_json
from ...configs.version import VERSION
from ...stages.diffusion.samplers import NAMES, split
from ...stages.prompts import textual_inversions
from ...stages.prompts.lora_tags import parse as parse_tags

if TYPE_CHECKING:
    from ...stages.shot import Shot

_AUTOMATIC = {
    **dict.fromkeys(("DPM++ 2M", "DPM++ SDE", "DPM2", "DPM2 a"), "Karras"),
    **dict.fromkeys(("DPM++ 2M SDE", "DPM++ 3M SDE"), "Exponential"),
}
"""What A1111 makes of "Schedule type: Automatic", or of none, where it is not "Uniform"."""
_NEAREST = {"PNDM": "PLMS", "TCD": "LCM"}
"""Samplers that A1111 does not know; it would take DPM++ 2M."""
_FORGE = ("DEIS", "DDPM")
"""Samplers of Forge; A1111 takes DPM++ 2M with their schedule."""
_OURS = "Visuals sampler"
_TI = "embedding:"
"""Begins the names of textual inversions among hashes."""
_NO_MARKS = str.maketrans("", "", ":,")
"""Characters that A1111 removes from a LoRA's name in the list of hashes."""

_FACT = re.compile(
    r"""(?<![^,])([^:,"]+):\s*("(?:[^"\\]|\\.)*"|\{[^{}]*\}|\[[^\[\]]*\]|[^,]*)\s*(?:,|$)"""
)
_SIZE = re.compile(r"(\d{1,5})\s*x\s*(\d{1,5})")
_NEGATIVE = "Negative prompt:"
_MOST = 99
"""Keys that are named where they are not honoured."""
_NUMBERS = {"Steps": ("generate.steps", int), "CFG scale": ("generate.cfg_scale", float)}
_UPSCALERS = ("latent", "lanczos")
_USED = {
    "Steps", "CFG scale", "Seed", "Sampler", "Schedule type", "Size", "Clip skip", _OURS,
    "Denoising strength", "Hires upscale", "Hires resize", "Hires steps", "Hires upscaler",
    "Variation seed", "Variation seed strength", "First pass size",
    "Model", "Model hash", "Lora hashes", "TI hashes", "TI", "VAE hash", "Hashes", "Version",
    "User", "Batch size", "Batch pos", "Created Date", "Civitai resources", "Civitai metadata",
}  # fmt: skip
"""Keys that are honoured, or that change no pixel."""
_NOTHING = re.compile("(False|None|Automatic|Use same.*)?")


class InfotextError(UsageError):
    """A text holds no parameters of A1111."""


@dataclass(frozen=True)
class Infotext:
    """A parsed text.

    Attributes:
        settings: By dotted name.
        model: Name of the checkpoint in A1111.
        hashes: A1111's short hashes, as `model`, `lora:name` and `embedding:name`.
        inpainted: Whether the picture was inpainted; the text does not hold its source.
        ignored: What the text says and the settings do not.
    """

    prompt: str
    negative_prompt: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    hashes: dict[str, str] = field(default_factory=dict)
    inpainted: bool = False
    ignored: tuple[str, ...] = ()


def format_infotext(
    shot: Shot, settings: Mapping[str, Any], hashes: Mapping[str, str] | None = None
) -> str:
    """Return the text of a generated or re-rendered shot; "" for an unchanged photo.

    Several prompts are joined by [SEP]. `settings`: the run's, as plain values; `hashes`: A1111's
    short hashes of single files, as `model`, `lora:name` and `embedding:name`.
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
    sampler, schedule = split(stage["sampler"])
    facts: dict[str, Any] = {"Steps": stage["steps"], "Sampler": _NEAREST.get(sampler, sampler)}
    if schedule or sampler in _AUTOMATIC or sampler in _FORGE:
        facts["Schedule type"] = schedule or "Uniform"
    facts |= {"CFG scale": stage["cfg_scale"], "Seed": shot.seed}
    hires = None if drawn else stage.get("hires")
    if hires:  # A1111 gives the size before the hires fix
        facts["Size"] = f"{stage['width']}x{stage['height']}"
    elif image is not None:
        facts["Size"] = f"{image.shape[1]}x{image.shape[0]}"
    hosted = not drawn and getattr(shot.source, "prediction", None)
    own = stage.get("model") if drawn else None
    model = own or settings["generate"]["version" if hosted else "model"]
    if "model" in known and not hosted and not own:
        facts["Model hash"], model = known["model"], Path(model).stem
    facts["Model"] = model
    if drawn and stage.get("method") == "edit":
        facts |= {"Mask blur": stage["mask_blur"], "Masked area padding": stage["padding"]}
    elif drawn:
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
    variation = None if drawn or hosted else stage.get("variation")
    if variation:
        facts["Variation seed"] = variation["seed"]
        facts["Variation seed strength"] = variation["strength"]
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
    inversions = [name.removeprefix(_TI) for name in known if name.startswith(_TI)]
    named = textual_inversions.found("\n".join((*prompts, negative)), inversions)
    if named:
        facts["TI hashes"] = ", ".join(f"{name}: {known[_TI + name]}" for name in named)
    if sampler in _NEAREST:
        facts[_OURS] = sampler
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
    lines = text.strip().split("\n")
    at = max((k for k, line in enumerate(lines) if line.startswith("Steps: ")), default=-1)
    words, last, after = lines[:at], lines[at], lines[at:][1:]
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
    ignored = [key for key in facts if key not in _USED and not _NOTHING.fullmatch(facts[key])]
    if facts.get("Sampler"):
        name, unknown = _sampler(facts)
        settings |= {"generate.sampler": name} if name else {}
        ignored += unknown
    size = _size(facts, "Size")
    if size:
        settings |= {"generate.width": size[0], "generate.height": size[1]}
    elif "Size" in facts:
        ignored.append("Size")
    skip = _number(facts, "Clip skip")
    if skip is not None and 2 <= skip <= 13:
        settings["generate.clip_skip"] = int(skip) - 1  # diffusers counts the layers left out
    elif "Clip skip" in facts and skip not in (0, 1):
        ignored.append("Clip skip")
    strength, other = _number(facts, "Variation seed strength"), _number(facts, "Variation seed")
    if strength is not None and strength <= 1 and other is not None:
        settings["generate.variation"] = {"seed": int(other) % 2**32, "strength": strength}
    elif strength != 0:
        ignored += [key for key in ("Variation seed", "Variation seed strength") if key in facts]
    upscaled = any(key.startswith("Hires ") or key == "First pass size" for key in facts)
    if upscaled:
        settings |= _hires(facts, size, ignored)
    ignored += [] if 0 <= seed < 2**32 else ["Seed"]
    painted = {"Mask blur", "Inpaint area"} & set(facts)
    return Infotext(
        prompt=prompt.strip(),
        negative_prompt=negative.strip(),
        seed=seed % 2**32,
        settings=settings,
        model=facts.get("Model", ""),
        hashes=_hashes(facts),
        inpainted=bool(painted or ("Denoising strength" in facts and not upscaled)),
        ignored=_named(ignored, facts, after),
    )


def _named(keys: list[str], facts: dict[str, str], lines: list[str]) -> tuple[str, ...]:
    """Keys with their values, and lines, each cut to a length for a message."""
    named = [f"{key[:60]}: {facts[key][:60]}" for key in dict.fromkeys(keys)]
    named += [line[:60] for line in lines if line.strip()]
    more = len(named) - _MOST
    return (*named[:_MOST], f"and {more} more") if more > 0 else tuple(named)


def _sampler(facts: dict[str, str]) -> tuple[str, list[str]]:
    """The sampler with its schedule as one name, and the keys that are no part of it."""
    if facts.get(_OURS) in NAMES:
        return facts[_OURS], []
    name, schedule = split(facts["Sampler"])
    schedule = schedule or facts.get("Schedule type", "")
    if schedule == "Automatic":
        schedule = _AUTOMATIC.get(name, "")
    if schedule == "Polyexponential":  # at A1111's usual rho, 1
        schedule = "Exponential"
    both = f"{name} {schedule}"
    if both in NAMES:
        return both, []
    if name not in NAMES:
        return "", ["Sampler"]
    if schedule in ("", "Uniform", "Normal"):
        return name, []
    return name, ["Schedule type" if "Schedule type" in facts else "Sampler"]


def _size(facts: dict[str, str], key: str) -> tuple[int, int] | None:
    found = _SIZE.fullmatch(facts.get(key, ""))
    return (int(found[1]), int(found[2])) if found else None


def _number(facts: dict[str, str], key: str) -> float | None:
    """The value of a key, None where it is no number of usual length."""
    text = facts.get(key, "")
    return float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,30})?", text) else None


def _hires(
    facts: dict[str, str], size: tuple[int, int] | None, ignored: list[str]
) -> dict[str, Any]:
    """The settings of a hires fix, whose first pass has that size; adds to `ignored`."""
    wanted, settings = _size(facts, "Hires resize"), {}
    first = _size(facts, "First pass size")  # before 2023, where Size was that of the result
    if first and first[0] and size:
        settings = {"generate.width": first[0], "generate.height": first[1]}
        size, wanted = first, size
    elif "First pass size" in facts:
        ignored.append("First pass size")
        return {}
    hires: dict[str, Any] = {}
    for theirs, ours in (("Hires upscale", "scale"), ("Denoising strength", "strength")):
        if (number := _number(facts, theirs)) is not None:
            hires[ours] = number
        elif theirs in facts:
            ignored.append(theirs)
    if wanted and size and all(size):
        scales = {side / before for side, before in zip(wanted, size, strict=True) if side}
        hires["scale"] = max(scales, default=1.0)
        if len(scales) > 1:  # A1111 crops the picture
            ignored.append("Hires resize" if "Hires resize" in facts else "Size")
    elif "Hires resize" in facts:
        ignored.append("Hires resize")
    steps = _number(facts, "Hires steps")
    if steps:
        hires["steps"] = int(steps)
    elif steps is None and "Hires steps" in facts:
        ignored.append("Hires steps")
    upscaler = facts.get("Hires upscaler", "")
    if upscaler.lower() in _UPSCALERS:
        hires["upscaler"] = upscaler.lower()
    elif upscaler:
        ignored.append("Hires upscaler")
    return {**settings, "generate.hires": hires}


def _hashes(facts: dict[str, str]) -> dict[str, str]:
    out = {"model": facts["Model hash"]} if facts.get("Model hash") else {}
    for key, kind in (("Lora hashes", "lora:"), ("TI hashes", _TI)):
        for pair in facts.get(key, "").split(","):
            name, _, value = pair.strip().rpartition(": ")
            out |= {f"{kind}{name.strip()}": value} if name else {}
    return out


def _plain(value: str) -> str:
    value = value.strip()
    if value.startswith('"'):
        try:
            return str(parse_json(value))
        except ValueError:
            return value.strip('"')
    return value
