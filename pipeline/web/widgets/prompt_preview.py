"""Preview of a prompt as the model reads it: template filled, LoRA tags apart, tokens counted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from html import escape
from pathlib import Path

from ..error_text import public_text
from ..visitor_settings import preset_settings
from .text_lines import lines

ROOM = 75
"""CLIP's tokens between start and end."""


def preview(template: str, classes: list[str], edits: str, preset: str) -> str:
    """Return the first class's prompt as HTML: text, LoRAs with weights, number of tokens."""
    from ....stages.prompts.instance_prompts import expand
    from ....stages.prompts.lora_tags import PromptError, parse

    name = classes[0] if classes else "{class}"
    try:
        text, tags = parse(expand(template, name, "").replace("{class}", name))
    except PromptError as error:
        return f'<p class="preview bad">{escape(public_text(str(error)))}</p>'
    loras = "".join(f'<span class="chip">{escape(tag.name)} × {tag.unet:g}</span>' for tag in tags)
    edited = "".join(
        f"<br>re-rendered as: {escape(parse(expand(template, name, edit))[0])}"
        for edit in lines(edits)[:3]
    )
    count = token_counter(preset_settings(preset).generate.model)
    counted = f'<span class="chip">{_counted(count(text))}</span>' if count else ""
    return f'<p class="preview">{escape(text)}{edited}<br>{counted}{loras}</p>'


def _counted(count: int) -> str:
    """Return how many of CLIP's tokens a prompt takes.

    >>> _counted(30), _counted(77)
    ('30 of 75 tokens', '77 tokens, read in 2 chunks of 75')
    """
    chunks = -(-count // ROOM)
    if chunks < 2:
        return f"{count} of {ROOM} tokens"
    return f"{count} tokens, read in {chunks} chunks of {ROOM}"


@functools.lru_cache(4)
def token_counter(model: str) -> Callable[[str], int] | None:
    """Return what counts tokens as the model's first text encoder does; None where it is absent, or
    does not read chunks."""
    from ....checkpoints.catalog.names import resolve
    from ....checkpoints.identify.base_family import reads_chunks

    if not reads_chunks(model):
        return None
    file = Path(resolve(model)) / "tokenizer" / "tokenizer.json"
    if not file.is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def classes(preset: str) -> list[str]:
    """Return the classes that a preset's detector knows; [] where it knows all words."""
    from ....checkpoints.load import known_words

    known = known_words(preset_settings(preset).detect.model)
    return list(known["classes"]) if known else []
