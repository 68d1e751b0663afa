"""Explains how a prompt is read: chosen variants, LoRAs, token chunks and their weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...checkpoints.identify.base_family import Base
from ...checkpoints.lora.search import LoraNotFoundError, find
from ...checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from ...stages.prompts import (
    dynamic_prompts,
    emphasis,
    lora_tags,
    prompt_editing,
    textual_inversions,
    token_chunks,
)
from ...stages.prompts.lora_tags import LoraTag, parse
from ...stages.prompts.textual_inversions import Vector
from . import wildcards
from .product_classes import class_prompts

if TYPE_CHECKING:
    from ...configs.schema import Settings


@dataclass(frozen=True)
class Run:
    """Consecutive tokens of one weight."""

    tokens: tuple[str, ...]
    weight: float


@dataclass(frozen=True)
class PromptExplanation:
    """A prompt as the stages read it. `picks`: each choice and its variant; `chunks`: None without
    a tokenizer; `room`: tokens that a chunk holds; `notes`: warnings."""

    prompt: str
    seed: int
    picks: tuple[tuple[str, str], ...]
    loras: tuple[LoraTag, ...]
    pieces: tuple[emphasis.Piece, ...]
    chunks: tuple[tuple[Run, ...], ...] | None
    room: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; a BREAK is a piece without weight."""
        return {
            "prompt": self.prompt,
            "seed": self.seed,
            "drawn": [{"choice": choice, "text": text} for choice, text in self.picks],
            "loras": [
                {"name": t.name, "unet": t.unet, "text_encoder": t.text_encoder} for t in self.loras
            ],
            "pieces": [
                {"text": p.text, "weight": None if p is emphasis.BREAK else p.weight}
                for p in self.pieces
            ],
            "chunks": None if self.chunks is None else [_chunk(runs) for runs in self.chunks],
            "chunk_size": self.room,
            "notes": list(self.notes),
        }


def _chunk(runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "count": sum(len(run.tokens) for run in runs),
        "tokens": [token for run in runs for token in run.tokens],
        "weights": [run.weight for run in runs for _ in run.tokens],
    }


def explain_prompt(
    template: str,
    seed: int,
    *,
    known: dynamic_prompts.Wildcards,
    tokenizer: Any = None,
    lora_dirs: Sequence[str] = (),
    library: EmbeddingLibrary = NO_EMBEDDINGS,
    base: Base | None = None,
) -> PromptExplanation:
    """Explain a template with the variants of a shot's seed; raises ValueError for a bad one.
    `base`: the model's, which textual inversions must fit."""
    drawn = dynamic_prompts.draw(template, seed, known)
    text, tags = parse(drawn.text)
    edits = prompt_editing.edits(text)
    text = max(prompt_editing.texts(text, 100), key=len)
    notes = [
        *(f"{e.form!r}: {e.kind}, the text changes between steps; here {text!r}" for e in edits),
        *dynamic_prompts.notes(text),
        *emphasis.notes(text),
        *lora_tags.unread(drawn.text),
        *lora_tags.notes(drawn.text),
    ]
    for tag in tags:
        try:
            find(tag.name, lora_dirs)
        except LoraNotFoundError as error:
            notes.append(str(error))
    pieces = emphasis.parse(text)
    for piece in pieces:
        if piece is not emphasis.BREAK and not 0 <= piece.weight <= 2:
            notes.append(f"{piece.text.strip()!r} weighs {piece.weight:.4g}: 0 to 2 is usual")
    runs = None
    if tokenizer is not None:
        named = [library.read(name) for name in textual_inversions.found(text, library.files)]
        counts = {e.name: e.count for e in named if base is None or e.base.fits(base)}
        notes += [
            f"textual inversion {e.name!r} was made for {e.base}, not for the model: it is read as "
            "words"
            for e in named
            if e.name not in counts
        ]
        split = token_chunks.split(text, tokenizer, counts)
        runs = tuple(_runs(chunk, tokenizer) for chunk in split)
        notes += _lengths(split, token_chunks.room(tokenizer), breaks=emphasis.BREAK in pieces)
    return PromptExplanation(
        prompt=drawn.text,
        seed=seed,
        picks=tuple(drawn.picks),
        loras=tags,
        pieces=tuple(pieces),
        chunks=runs,
        room=token_chunks.room(tokenizer) if tokenizer is not None else 0,
        notes=tuple(dict.fromkeys(notes)),
    )


def _runs(chunk: token_chunks.Chunk, tokenizer: Any) -> tuple[Run, ...]:
    runs: list[Run] = []
    for token, weight in zip(chunk.ids, chunk.weights, strict=True):
        if isinstance(token, Vector):
            word = token.name
        else:
            word = tokenizer.decode([token]).strip()
        if runs and runs[-1].weight == weight:
            runs[-1] = Run((*runs[-1].tokens, word), weight)
        else:
            runs.append(Run((word,), weight))
    return tuple(runs)


def _lengths(split: Sequence[token_chunks.Chunk], room: int, *, breaks: bool) -> list[str]:
    total, notes = sum(len(chunk.ids) for chunk in split), []
    if len(split) > 1 and not breaks:
        notes.append(
            f"{total} tokens: {len(split)} chunks of {room}; the end of a long prompt has less "
            "effect: put what matters first, or separate parts by BREAK"
        )
    notes += [f"chunk {k} is empty" for k, chunk in enumerate(split, 1) if total and not chunk.ids]
    return notes


def prompt_notes(
    settings: Settings, prompts: Collection[str], negatives: Collection[str] = ()
) -> list[str]:
    """Return warnings about the prompts of shots and of the settings, each once; raises ValueError
    for a text that cannot be read."""
    g, r = settings.generate, settings.rerender
    known = wildcards.load_wildcards(settings)
    notes: list[str] = []

    def texts(*templates: str) -> Iterator[str]:
        for template in dict.fromkeys(templates):
            yield from dynamic_prompts.variants(template, known)

    for text in texts(*prompts, r.prompt or "", *class_prompts(settings)):
        words = parse(text)[0]
        notes += [*lora_tags.unread(text), *dynamic_prompts.notes(words), *emphasis.notes(words)]
    for text in texts(*negatives, g.negative_prompt, r.negative_prompt):
        if parse(text)[1] or lora_tags.unread(text):
            notes.append(f"{text[:60]!r}: tags in a negative prompt are read as text")
        notes += [*dynamic_prompts.notes(text), *emphasis.notes(text)]
    return list(dict.fromkeys(notes))
