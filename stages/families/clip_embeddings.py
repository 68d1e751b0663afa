"""Prompts to the embeddings that a Stable Diffusion pipeline takes, weighted, of any length.

Each chunk of 75 tokens goes through the text encoder by itself, so that an embedding depends on
nothing but its chunk: not on the batch, not on what follows. For SD 1.x, 2.x and SDXL, with both of
its encoders.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...checkpoints.textual_inversion import (
    ENCODERS,
    NO_EMBEDDINGS,
    Embedding,
    EmbeddingLibrary,
)
from ...configs.errors import UsageError
from ..prompts import textual_inversions
from ..prompts.textual_inversions import Vector
from ..prompts.token_chunks import Chunk, padded, split

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class _Text:
    """Of one prompt: float (tokens, channels), and the pooled one (channels) of SDXL or None."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None


def count(pipe: Any, *texts: str, library: EmbeddingLibrary = NO_EMBEDDINGS) -> int:
    """The chunks that the longest of the texts takes: what a call of the pipeline is padded to."""
    return max(
        len(_split(pipe, text, tokenizer, _fitting(pipe, text, library)))
        for text in texts
        for tokenizer, _, _ in _encoders(pipe)
    )


def encode(
    pipe: Any,
    prompts: Sequence[str],
    negatives: Sequence[str],
    *,
    clip_skip: int | None = None,
    library: EmbeddingLibrary = NO_EMBEDDINGS,
) -> dict[str, torch.Tensor]:
    """What `pipe` is called with in place of prompts and negative prompts, of equal number.

    `prompt_embeds`, `negative_prompt_embeds` (N, 77 × chunks, channels), for SDXL
    `pooled_prompt_embeds` and `negative_pooled_prompt_embeds` (N, channels) too. Prompts have
    A1111's attention and no LoRA tags. A plain one of up to 75 tokens gives, bit for bit, what the
    pipeline's own `encode_prompt` gives. `clip_skip`: as in diffusers, 1 skips one layer, but
    of the negative prompt too, and not on SDXL, as in A1111. Where the pipeline says
    `force_zeros_for_empty_prompt` (SDXL), an empty negative prompt is zeros. `library`: textual
    inversions, whose names are words of prompts.
    """
    import torch

    chunks = count(pipe, *prompts, *negatives, library=library)
    known: dict[tuple[int, Chunk], _Text] = {}
    texts = {
        text: _embed(pipe, text, chunks, clip_skip, known, _fitting(pipe, text, library))
        for text in dict.fromkeys((*prompts, *negatives))
    }
    against = dict(texts)
    if "" in against and getattr(pipe.config, "force_zeros_for_empty_prompt", False):
        against[""] = _zeros(texts[""])
    out = {
        "prompt_embeds": torch.stack([texts[t].tokens for t in prompts]),
        "negative_prompt_embeds": torch.stack([against[t].tokens for t in negatives]),
    }
    pooled = [texts[t].pooled for t in prompts], [against[t].pooled for t in negatives]
    for name, rows in zip(("pooled", "negative_pooled"), pooled, strict=True):
        present = [row for row in rows if row is not None]
        if present:
            out[f"{name}_prompt_embeds"] = torch.stack(present)
    return out


def _encoders(pipe: Any) -> list[tuple[Any, Any, str]]:
    """(tokenizer, text encoder, its name in files of SDXL, else ""), one or two; SDXL's refiner has
    the second only."""
    out = []
    for tokenizer, name in ENCODERS.items():
        encoder = getattr(pipe, tokenizer.replace("tokenizer", "text_encoder"), None)
        if encoder is not None:
            name = name if hasattr(pipe, "text_encoder_2") else ""
            out.append((getattr(pipe, tokenizer), encoder, name))
    return out


def _fitting(pipe: Any, text: str, library: EmbeddingLibrary) -> dict[str, Embedding]:
    """The textual inversions that a text names, by name; those for other encoders are named in a
    warning and stay words."""
    named = [library.read(name) for name in textual_inversions.found(text, library.files)]
    widths = {
        name: encoder.get_input_embeddings().weight.shape[1] for _, encoder, name in _encoders(pipe)
    }
    out = {}
    for embedding in named:
        have = {name: tensor.shape[1] for name, tensor in embedding.vectors.items()}
        if widths.items() <= have.items():
            out[embedding.name] = embedding
        else:
            _warn_of_misfit(embedding.name, str(embedding.base))
    return out


@functools.cache
def _warn_of_misfit(name: str, base: str) -> None:
    logging.getLogger(__name__).warning(
        "textual inversion %r was made for another base (%s) than the model: it "
        "is read as words",
        name, base,
    )  # fmt: skip


def _split(
    pipe: Any, text: str, tokenizer: Any, embeddings: Mapping[str, Embedding]
) -> list[Chunk]:
    """The chunks of a text, with a pipeline's own textual inversions of several vectors written
    out, as diffusers does."""
    convert = getattr(pipe, "maybe_convert_prompt", None)
    text = str(convert(text, tokenizer)) if convert else text
    return split(text, tokenizer, {name: e.count for name, e in embeddings.items()})


def _embed(
    pipe: Any,
    text: str,
    length: int,
    clip_skip: int | None,
    known: dict[tuple[int, Chunk], _Text],
    embeddings: Mapping[str, Embedding],
) -> _Text:
    """A prompt through every encoder, padded with empty chunks to `length` of them."""
    import torch

    parts, pooled = [], None
    for which, (tokenizer, encoder, name) in enumerate(_encoders(pipe)):
        chunks = _split(pipe, text, tokenizer, embeddings)
        chunks += [Chunk()] * (length - len(chunks))
        for chunk in chunks:
            if (which, chunk) not in known:
                vectors = {
                    place: embeddings[token.name].vectors[name][token.row]
                    for place, token in enumerate(chunk.ids, 1)
                    if isinstance(token, Vector)
                }
                with _placed(encoder, vectors):
                    known[which, chunk] = _encode_chunk(pipe, tokenizer, encoder, chunk, clip_skip)
        done = [known[which, chunk] for chunk in chunks]
        parts.append(torch.cat([part.tokens for part in done]))
        pooled = done[0].pooled
    return _Text(torch.cat(parts, dim=-1), pooled)


@contextlib.contextmanager
def _placed(encoder: Any, vectors: Mapping[int, torch.Tensor]) -> Iterator[None]:
    """Within the block a text encoder reads these vectors at their places, in this thread alone."""
    here = threading.get_ident()

    def place(layer: Any, arguments: Any, out: torch.Tensor) -> torch.Tensor | None:
        if threading.get_ident() != here:
            return None
        out = out.clone()
        for at, vector in vectors.items():
            out[:, at] = vector.to(out)
        return out

    if not vectors:
        yield
        return
    hook = encoder.get_input_embeddings().register_forward_hook(place)
    try:
        yield
    finally:
        hook.remove()


def _encode_chunk(
    pipe: Any, tokenizer: Any, encoder: Any, chunk: Chunk, clip_skip: int | None
) -> _Text:
    import torch

    ids = torch.tensor([padded(chunk, tokenizer)], device=pipe._execution_device)
    is_xl = hasattr(pipe, "text_encoder_2")
    hidden, pooled = encode_ids(encoder, ids, is_xl=is_xl, clip_skip=clip_skip or 0)
    return _Text(_weighted(hidden[0], chunk), None if pooled is None else pooled[0])


def encode_ids(
    encoder: Any, ids: torch.Tensor, *, is_xl: bool, clip_skip: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Token ids (N, tokens), with begin, end and padding, to hidden states (N, tokens, channels)
    and, of encoders that have a projection, pooled ones (N, channels).

    SDXL (`is_xl`) always reads the last layer but one, without the final norm; elsewhere
    `clip_skip` skips layers.
    """
    out = encoder(ids, output_hidden_states=True)
    layers = len(out.hidden_states) - 1
    if clip_skip > layers and not is_xl:
        raise UsageError(
            f"clip_skip {clip_skip}: expected at most {layers}; set generate.clip_skip"
        )
    if is_xl:
        hidden = out.hidden_states[-2]
    elif clip_skip:
        # transformers 4 keeps the norm below text_model, 5 in the encoder itself.
        inner = getattr(encoder, "module", encoder)
        norm = getattr(inner, "text_model", inner).final_layer_norm
        # accelerate returns float32 from an encoder that is trained in half precision
        hidden = norm(out.hidden_states[-1 - clip_skip].to(norm.weight.dtype))
    else:
        hidden = out.last_hidden_state
    return hidden, getattr(out, "text_embeds", None)


def _weighted(hidden: torch.Tensor, chunk: Chunk) -> torch.Tensor:
    """`hidden` (tokens, channels) times the weights, with the mean that it had before.

    As A1111's emphasis "Original" does, chunk by chunk; begin, end and padding weigh 1.
    """
    if chunk.plain:
        return hidden
    weights = hidden.new_ones(len(hidden), dtype=hidden.float().dtype)
    weights[1 : 1 + len(chunk.weights)] = weights.new_tensor(chunk.weights)
    before = hidden.float()
    after = before * weights[:, None]
    if after.mean() != 0:
        after = after * (before.mean() / after.mean())
    return after.to(hidden.dtype)


def _zeros(text: _Text) -> _Text:
    import torch

    pooled = None if text.pooled is None else torch.zeros_like(text.pooled)
    return _Text(torch.zeros_like(text.tokens), pooled)
