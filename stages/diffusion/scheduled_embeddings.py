"""Embeddings of prompts that change between steps, put into a pipeline by a callback."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from ...checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from ..prompts import prompt_editing
from .family import Family

Callback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]
"""What diffusers calls after each step, with the pipeline, the step, its time and tensors."""


def encode(
    family: Family,
    pipe: Any,
    prompts: Sequence[str],
    negatives: Sequence[str],
    *,
    steps: int,
    done: int = 0,
    start: int = 0,
    clip_skip: int | None = None,
    callback: Callback | None = None,
    library: EmbeddingLibrary = NO_EMBEDDINGS,
) -> dict[str, Any]:
    """Return the arguments of a pipeline: embeddings, and a callback where they change.

    Args:
        family: of the pipeline.
        pipe: the one that is to draw.
        prompts: with A1111's attention and prompt editing, without LoRA tags.
        negatives: as many.
        steps: all steps of the pass, of which the shares in prompts are taken.
        done: steps of the first pass, in the second one of a hires fix.
        start: steps that another pipeline made of this pass.
        clip_skip: as diffusers counts: 1 skips one.
        callback: is called after each step too.
        library: textual inversions that the texts may name.
    """
    texts = [prompt_editing.texts(t, steps, done)[start:] for t in (*prompts, *negatives)]
    rows = list(zip(*texts, strict=True))
    n = len(prompts)
    known = {
        row: family.encode(pipe, row[:n], row[n:], clip_skip=clip_skip, library=library)
        for row in dict.fromkeys(rows)
    }
    arguments: dict[str, Any] = dict(known[rows[0]])
    if len(known) == 1:
        return arguments | ({"callback_on_step_end": callback} if callback else {})

    def change(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if callback:
            tensors = callback(pipe, step, time, tensors)
        encoded = known[rows[min(step + 1, len(rows) - 1)]]
        return tensors | family.between_steps(pipe, encoded)

    return arguments | {"callback_on_step_end": change}


def group(
    family: Family,
    pipe: Any,
    prompt: str,
    negative: str,
    library: EmbeddingLibrary = NO_EMBEDDINGS,
) -> Hashable:
    """Return what must be equal in one call: padding to a longer prompt would change the picture,
    and how long one is that changes depends on the step."""
    if prompt_editing.edits(prompt) or prompt_editing.edits(negative):
        return prompt, negative
    return family.length(pipe, prompt, negative, library=library)
