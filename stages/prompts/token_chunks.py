"""Splits a prompt into any number of chunks of 75 tokens, as a text encoder takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import emphasis, textual_inversions
from .textual_inversions import Name, Vector

BACKTRACK = 20
"""A chunk that is full ends after its last comma, if that is no more tokens back (A1111's
"Prompt word wrap length limit", its default)."""
_USUAL = 77


@dataclass(frozen=True)
class Chunk:
    """Token ids, or vectors in their place, and weights, without begin, end and padding."""

    ids: tuple[int | Vector, ...] = ()
    weights: tuple[float, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether every token weighs 1."""
        return all(weight == 1 for weight in self.weights)


def room(tokenizer: Any) -> int:
    """How many tokens a chunk holds beside begin and end: 75 for CLIP's."""
    length = int(tokenizer.model_max_length)
    return (length if length < 10**6 else _USUAL) - 2  # a tokenizer without a limit says 10**30


def split(text: str, tokenizer: Any, inversions: Mapping[str, int] | None = None) -> list[Chunk]:
    """The chunks of a prompt with A1111's attention in it; at least one, which may be empty.

    `inversions`: the numbers of vectors of textual inversions by name; none is cut between chunks.
    """
    size = room(tokenizer)
    (comma,) = tokenizer(",", add_special_tokens=False).input_ids[:1] or [None]
    done: list[Chunk] = []
    held: list[tuple[int | Vector, float]] = []
    for piece in emphasis.parse(text):
        if piece is emphasis.BREAK:
            done.append(_chunk(held))
            held = []
            continue
        for tokens in _whole(piece.text, tokenizer, inversions or {}):
            while held and len(held) + len(tokens) > size:
                full = len(held) == size and tokens != [comma]
                cut = _cut([t for t, _ in held], comma) if full else len(held)
                done.append(_chunk(held[:cut]))
                held = held[cut:]
            held += [(token, piece.weight) for token in tokens]
    if held or not done:
        done.append(_chunk(held))
    return done


def _whole(
    text: str, tokenizer: Any, inversions: Mapping[str, int]
) -> Iterator[Sequence[int | Vector]]:
    """Yield the tokens of a text, those together that stay in one chunk."""
    for part in textual_inversions.split(text, inversions):
        if isinstance(part, Name):
            yield [Vector(part.name, row) for row in range(inversions[part.name])]
        else:
            ids = tokenizer(part, add_special_tokens=False, verbose=False).input_ids
            yield from ([token] for token in ids)


def _chunk(tokens: Sequence[tuple[int | Vector, float]]) -> Chunk:
    return Chunk(tuple(t for t, _ in tokens), tuple(w for _, w in tokens))


def _cut(ids: Sequence[int | Vector], comma: int | None) -> int:
    """Where a full chunk ends: behind a comma near its end, else at the end."""
    for back in range(1, min(BACKTRACK, len(ids)) + 1):
        if ids[-back] == comma:
            return len(ids) - back + 1
    return len(ids)


def padded(chunk: Chunk, tokenizer: Any) -> list[int]:
    """The chunk as the text encoder reads it: begin, tokens, end, padding; room + 2 ids. A vector
    is begin once more, which is never taken for the end."""
    end = tokenizer.eos_token_id
    pad = tokenizer.pad_token_id
    missing = room(tokenizer) - len(chunk.ids)
    ids = [tokenizer.bos_token_id if isinstance(i, Vector) else i for i in chunk.ids]
    return [tokenizer.bos_token_id, *ids, end, *[end if pad is None else pad] * missing]
