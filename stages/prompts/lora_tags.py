"""LoRA tags in prompts, `<lora:name:weight>`, as A1111's users write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ...configs.errors import UsageError

_TAG = re.compile(r"<(\w+):([^:<>]+)((?::[^:<>]*)*)>")
_HALF_TAG = re.compile(r"<(?:lora|lyco):[^<>]*>?", re.IGNORECASE)
_LORAS = ("lora", "lyco")
LONGEST = 100_000
"""Characters of the longest prompt: some 300 chunks of tokens, each encoded by itself."""
LARGEST = 1e6
"""The largest weight, far below where embeddings overflow."""


class PromptError(UsageError):
    """A prompt that cannot be read; the message says got, expected, remedy."""


@dataclass(frozen=True)
class LoraTag:
    """A LoRA asked for by name, with its weight on the UNet and on the text encoder."""

    name: str
    unet: float = 1.0
    text_encoder: float = 1.0


def parse(prompt: str) -> tuple[str, tuple[LoraTag, ...]]:
    """The prompt without its tags, and the tags in order.

    `<lora:x>` weighs 1, `<lora:x:0.8>` both parts 0.8, `<lora:x:0.5:1>` text encoder 0.5 and UNet
    1, `<lora:x:te=0:unet=1>` by name, as in A1111; `<lyco:x>` is the same. Tags of other networks
    are taken out.

    >>> parse("mug, red, <lora:look:0.8>")
    ('mug, red', (LoraTag(name='look', unet=0.8, text_encoder=0.8),))

    Raises PromptError for a tag or a text that cannot be used.
    """
    check_text(prompt)
    tags = []
    for match in _TAG.finditer(prompt):
        whole, name = match[0], match[2].strip()
        if match[1].lower() not in _LORAS:
            continue
        plain, named, _ = _weights(match[3])
        try:
            te = float(named.get("te", plain[0] if plain else 1.0))
            unet = float(named.get("unet", plain[1] if len(plain) > 1 else te))
        except ValueError:
            te = unet = math.nan
        if not (math.isfinite(te) and math.isfinite(unet)):
            raise PromptError(f"{whole}: the weight is no number; expected <lora:name:0.8>")
        if max(abs(te), abs(unet)) > LARGEST:
            raise PromptError(f"{whole}: expected a weight of -1e6 to 1e6, 0 to 2 is usual")
        tags.append(LoraTag(name, unet, te))
    return " ".join(take_out(_TAG.pattern, prompt).split()), tuple(tags)


def take_out(pattern: str, prompt: str) -> str:
    """Return the prompt without what matches, commas and spaces around included.

    >>> take_out("{edit}", "studio, {edit}, shelf, {edit}")
    'studio, shelf'
    """

    def between(match: re.Match[str]) -> str:
        inside = match.start() > 0 and match.end() < len(prompt)
        return (", " if "," in match.group() else " ") if inside else ""

    around = rf"(?:(?<![\s,])[\s,]+)?(?:{pattern}[\s,]*)+"  # each run of blanks is read once
    return re.sub(around, between, prompt)


def check_text(prompt: str) -> None:
    """Raise PromptError for a text that is too long or that no tokenizer takes."""
    if len(prompt) > LONGEST:
        raise PromptError(
            f"a prompt of {len(prompt):,} characters; expected at most {LONGEST:,}; shorten it"
        )
    if half := re.search("[\ud800-\udfff]", prompt):
        raise PromptError(
            f"{prompt[:60]!a}: {half[0]!a} is no character; expected UTF-8 text; type it again"
        )


def _weights(text: str) -> tuple[list[str], dict[str, str], list[str]]:
    """The weights of a tag in order and by name, and what else it says."""
    parts = [part.strip() for part in text.split(":") if part.strip()]
    named = dict(part.split("=", 1) for part in parts if part.startswith(("te=", "unet=")))
    plain = [part for part in parts if "=" not in part]
    others = [part for part in parts if "=" in part and part.split("=")[0] not in named]
    return plain[:2], named, plain[2:] + others


def unread(prompt: str) -> list[str]:
    """A sentence for each tag that names no LoRA or is not closed, and for what is not read of
    one."""
    out = []
    for match in _TAG.finditer(prompt):
        if match[1].lower() not in _LORAS:
            out.append(f"{match[0]}: not supported; the tag is taken out")
        elif rest := _weights(match[3])[2]:
            out.append(f"{match[0]}: not supported: {', '.join(rest)}; the weights are read")
    for half in _HALF_TAG.findall(_TAG.sub("", prompt)):
        out.append(f"{half!r} is no tag: it is read as text; expected <lora:name:0.8>")
    return list(dict.fromkeys(out))


def notes(prompt: str) -> list[str]:
    """A sentence where commas that A1111 keeps leave the prompt with a tag."""
    text = _TAG.sub("", prompt)
    lost = text.count(",") - take_out(_TAG.pattern, prompt).count(",")
    if not lost:
        return []
    return [f"{lost} of the commas around LoRA tags taken out; A1111 reads each as a token"]
