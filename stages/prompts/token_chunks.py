"""Splits a prompt into any number of chunks of 75 tokens, as a text encoder takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import emphasis

BACKTRACK = 20
"""A chunk that is full ends after its last comma, if that is no more tokens back (A1111's
"Prompt word wrap length limit", its default)."""
_USUAL = 77


@dataclass(frozen=True)
class Chunk:
    """Token ids and their weights, without begin, end and padding."""

    ids: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether every token weighs 1."""
        return all(weight == 1 for weight in self.weights)


def room(tokenizer: Any) -> int:
    """How many tokens a chunk holds beside begin and end: 75 for CLIP's."""
    length = int(tokenizer.model_max_length)
    return (length if length < 10**6 else _USUAL) - 2  # a tokenizer without a limit says 10**30


def split(text: str, tokenizer: Any) -> list[Chunk]:
    """The chunks of a prompt with A1111's attention in it; at least one, which may be empty."""
    size = room(tokenizer)
    (comma,) = tokenizer(",", add_special_tokens=False).input_ids[:1] or [None]
    done: list[Chunk] = []
    held: list[tuple[int, float]] = []
    for piece in emphasis.parse(text):
        if piece is emphasis.BREAK:
            done.append(_chunk(held))
            held = []
            continue
        for token in tokenizer(piece.text, add_special_tokens=False, verbose=False).input_ids:
            if len(held) == size:
                cut = size if token == comma else _cut([t for t, _ in held], comma)
                done.append(_chunk(held[:cut]))
                held = held[cut:]
            held.append((token, piece.weight))
    if held or not done:
        done.append(_chunk(held))
    return done


def _chunk(tokens: Sequence[tuple[int, float]]) -> Chunk:
    return Chunk(tuple(t for t, _ in tokens), tuple(w for _, w in tokens))


def _cut(ids: Sequence[int], comma: int | None) -> int:
    """Where a full chunk ends: behind a comma near its end, else at the end."""
    for back in range(1, min(BACKTRACK, len(ids)) + 1):
        if ids[-back] == comma:
            return len(ids) - back + 1
    return len(ids)


def padded(chunk: Chunk, tokenizer: Any) -> list[int]:
    """The chunk as the text encoder reads it: begin, tokens, end, padding; room + 2 ids."""
    end = tokenizer.eos_token_id
    pad = tokenizer.pad_token_id
    missing = room(tokenizer) - len(chunk.ids)
    return [tokenizer.bos_token_id, *chunk.ids, end, *[end if pad is None else pad] * missing]
