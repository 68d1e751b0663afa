"""Embeddings of prompts that change between steps, put into a pipeline by a callback."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from ...checkpoints.textual_inversion import EmbeddingLibrary
from . import embeddings, prompt_editing

Callback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]
"""What diffusers calls after each step, with the pipeline, the step, its time and tensors."""


def encode(
    pipe: Any,
    prompts: Sequence[str],
    negatives: Sequence[str],
    *,
    steps: int,
    done: int = 0,
    start: int = 0,
    clip_skip: int | None = None,
    callback: Callback | None = None,
    library: EmbeddingLibrary = embeddings.NO_EMBEDDINGS,
) -> dict[str, Any]:
    """Return the arguments of a pipeline: embeddings, and a callback where they change.

    Args:
        pipe: a Stable Diffusion or SDXL pipeline.
        prompts: with A1111's attention and prompt editing, without LoRA tags.
        negatives: as many.
        steps: all steps of the pass, of which the shares in prompts are taken.
        done: steps of the first pass, in the second one of a hires fix.
        start: steps that another pipeline made of this pass.
        clip_skip: as in `embeddings.encode`.
        callback: is called after each step too.
        library: textual inversions that the texts may name.
    """
    texts = [prompt_editing.texts(t, steps, done)[start:] for t in (*prompts, *negatives)]
    rows = list(zip(*texts, strict=True))
    n = len(prompts)
    known = {
        row: embeddings.encode(pipe, row[:n], row[n:], clip_skip=clip_skip, library=library)
        for row in dict.fromkeys(rows)
    }
    arguments: dict[str, Any] = dict(known[rows[0]])
    if len(known) == 1:
        return arguments | ({"callback_on_step_end": callback} if callback else {})

    def change(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if callback:
            tensors = callback(pipe, step, time, tensors)
        return tensors | _tensors(pipe, known[rows[min(step + 1, len(rows) - 1)]])

    return arguments | {"callback_on_step_end": change}


def _tensors(pipe: Any, encoded: dict[str, Any]) -> dict[str, Any]:
    """Embeddings as a pipeline holds them between steps: negative ones first, under guidance."""
    import torch

    out = {}
    for name, prefix in (("prompt_embeds", ""), ("add_text_embeds", "pooled_")):
        if f"{prefix}prompt_embeds" in encoded:
            parts = [encoded[f"{prefix}prompt_embeds"]]
            if pipe.do_classifier_free_guidance:
                parts.insert(0, encoded[f"negative_{prefix}prompt_embeds"])
            out[name] = torch.cat(parts).to(pipe.unet.dtype)
    return out


def group(
    pipe: Any,
    prompt: str,
    negative: str,
    library: EmbeddingLibrary = embeddings.NO_EMBEDDINGS,
) -> Hashable:
    """Return what must be equal in one call: padding to a longer prompt would change the picture,
    and how long one is that changes depends on the step."""
    if prompt_editing.edits(prompt) or prompt_editing.edits(negative):
        return prompt, negative
    return embeddings.count(pipe, prompt, negative, library=library)
