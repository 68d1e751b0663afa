"""The prompt as the model will read it: template filled, LoRA tags apart, tokens counted."""

from __future__ import annotations

import functools
from html import escape
from pathlib import Path
from typing import Any

ROOM = 75
"""CLIP's tokens between start and end."""


def preview(template: str, classes: list[str], edit: str, preset: str) -> str:
    """The first class's prompt as HTML: its text, LoRAs with weights, how many tokens it takes."""
    from ....stages.prompts.lora_tags import PromptError, parse
    from ....stages.prompts.template import expand

    name = classes[0] if classes else "{class}"
    try:
        text, tags = parse(expand(template, name, "").replace("{class}", name))
    except PromptError as error:
        return f'<p class="preview bad">{escape(str(error))}</p>'
    loras = "".join(f'<span class="chip">{escape(tag.name)} × {tag.unet:g}</span>' for tag in tags)
    said = ""
    if edit:
        said = f"<br>re-rendered as: {escape(parse(expand(template, name, edit))[0])}"
    count = tokens(text, preset)
    counted = "" if count is None else f'<span class="chip">{_counted(count)}</span>'
    return f'<p class="preview">{escape(text)}{said}<br>{counted}{loras}</p>'


def _counted(count: int) -> str:
    """How much of CLIP's room a prompt takes.

    >>> _counted(30), _counted(77)
    ('30 of 75 tokens', '77 tokens, read in 2 chunks of 75')
    """
    chunks = -(-count // ROOM)
    if chunks < 2:
        return f"{count} of {ROOM} tokens"
    return f"{count} tokens, read in {chunks} chunks of {ROOM}"


def tokens(text: str, preset: str) -> int | None:
    """How many tokens CLIP reads, without start and end; None where its tokenizer is not here."""
    tokenizer = _tokenizer(preset)
    return None if tokenizer is None else len(tokenizer.encode(text, add_special_tokens=False).ids)


@functools.lru_cache(4)
def _tokenizer(preset: str) -> Any:
    from ....checkpoints.catalog.names import resolve
    from ....configs.schema import load_settings

    file = Path(resolve(load_settings(preset).generate.model)) / "tokenizer" / "tokenizer.json"
    if not file.is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def loras(preset: str) -> list[str]:
    """Names of the LoRAs in the preset's folders."""
    from ....configs.schema import load_settings
    from ...prompts.loras import lora_folders

    folders = [Path(f) for f in lora_folders(load_settings(preset))]
    return sorted({p.stem for f in folders if f.is_dir() for p in f.rglob("*.safetensors")})


def classes(preset: str) -> list[str]:
    """The classes that a preset's detector knows; [] where it knows all words."""
    from ....checkpoints.load import known_words
    from ....configs.schema import load_settings

    known = known_words(load_settings(preset).detect.model)
    return list(known["classes"]) if known else []
