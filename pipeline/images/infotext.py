"""A1111's `parameters` text of a picture, read back: words, and settings by our names.

The other half of `parameters`. Knows no models.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from ...configs.errors import UsageError

_FACT = re.compile(r'\s*([^:,"]+):\s*("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"(\d+)\s*x\s*(\d+)")
_NEGATIVE = "Negative prompt:"
_NUMBERS = {"Steps": ("generate.steps", int), "CFG scale": ("generate.cfg_scale", float)}
_UPSCALERS = ("latent", "lanczos")
_HIRES = {"Hires upscale": "scale", "Denoising strength": "strength", "Hires steps": "steps"}


class InfotextError(UsageError):
    """A text that is not A1111's; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Infotext:
    """What the text says. `settings`: by dotted name; `model`: as A1111 names it; `hashes`: A1111's
    short ones, as `model` and `lora:name`; `inpainted`: whether a picture was painted over, which
    the text does not hold."""

    prompt: str
    negative_prompt: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    hashes: dict[str, str] = field(default_factory=dict)
    inpainted: bool = False


def parse(text: str) -> Infotext:
    """Read a text; raises InfotextError where it has no line with steps and seed.

    >>> found = parse("a mug\\nNegative prompt: blurry\\nSteps: 20, Sampler: DPM++ 2M, "
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
    said = "\n".join(words)
    prompt, _, negative = (
        said.partition(_NEGATIVE)
        if said.startswith(_NEGATIVE)
        else said.partition("\n" + _NEGATIVE)
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
