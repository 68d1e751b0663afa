"""A1111's attention: `(more)`, `[less]`, `(so much:1.3)`, `BREAK`. Text to weighted pieces.

As in stable-diffusion-webui's wiki, "Attention/emphasis", and in the examples beside its parser.
Prompt editing is read before (see prompt_editing).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .lora_tags import LARGEST, PromptError

STEP = 1.1
"""What one pair of round brackets multiplies by, and one of square brackets divides by."""
_DEEPEST = 100
"""Most brackets within each other."""

_MARK = re.compile(
    r"""\\ (?P<literal> [()\[\]\\]? )                                  # a lone \ goes
      | : \s* (?P<weight> [+-]? (?: \d+ (?: \.\d* )? | \. \d+ ) ) \s* \)    # the end of (text:1.2)
      | (?P<bracket> [()\[\]] )
      | (?P<pause> (?: (?<!\s) \s+ )? \b BREAK \b \s* )""",
    re.VERBOSE,
)
_AND = re.compile(r"\bAND\b")


class Piece(NamedTuple):
    """A part of a prompt, and how much it weighs; 1 is plain."""

    text: str
    weight: float


BREAK = Piece("BREAK", -1.0)
"""Stands between pieces where a chunk ends."""


def parse(text: str) -> list[Piece]:
    r"""The prompt in pieces of one weight each, in order; at least one, which may be empty.

    `(x)` weighs 1.1, `[x]` 1/1.1, `(x:1.2)` 1.2; nesting multiplies; `\(` is a bracket to read; one
    that is never closed runs to the end, one that was never opened is text. Raises PromptError for
    brackets and weights beyond all use.

    >>> parse(r"a (((house:1.3)) [on] hill\(s\)")
    ... # doctest: +NORMALIZE_WHITESPACE
    [Piece(text='a ', weight=1.0), Piece(text='house', weight=1.5730000000000004),
     Piece(text=' ', weight=1.1), Piece(text='on', weight=1.0),
     Piece(text=' hill(s)', weight=1.1)]
    """
    texts, spans, _, _ = _scan(text)
    weights = [1.0] * len(texts)
    for start, end, factor in spans:
        for k in range(start, end):
            weights[k] *= factor
    pieces: list[Piece] = []
    for part, weight in zip(texts, weights, strict=True):
        if not abs(weight) <= LARGEST:
            what = repr((part or "BREAK").strip()[:60])
            raise PromptError(f"{what} weighs {weight:.3g}; expected -1e6 to 1e6, 0 to 2 is usual")
        if part is None:
            pieces.append(BREAK)
        elif part and pieces and pieces[-1] is not BREAK and pieces[-1].weight == weight:
            pieces[-1] = Piece(pieces[-1].text + part, weight)
        elif part:
            pieces.append(Piece(part, weight))
    return pieces or [Piece("", 1.0)]


def notes(text: str) -> list[str]:
    """A sentence for AND, which A1111 reads in its own way, and for each bracket without its other
    half."""
    messages = []
    parse(text)  # raises for weights that cannot be used
    if _AND.search(text):
        messages.append("'AND': joining prompts by AND is not supported; AND is read as a word")
    _, _, left_open, stray = _scan(text)
    messages += [f"{b!r} is never closed: it runs to the end of the prompt" for b in left_open]
    messages += [f"{b!r} was never opened: it is read as text" for b in stray]
    return messages


def _scan(
    text: str,
) -> tuple[list[str | None], list[tuple[int, int, float]], list[str], list[str]]:
    """Texts (None is a BREAK), spans of them with a factor each, brackets left open, stray ones."""
    texts: list[str | None] = []
    spans: list[tuple[int, int, float]] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}
    stray = []
    factors = {"(": STEP, "[": 1 / STEP}
    place = 0
    for mark in _MARK.finditer(text):
        texts.append(text[place : mark.start()])
        place = mark.end()
        bracket, weight = mark["bracket"], mark["weight"]
        if mark["pause"] is not None:
            texts.append(None)
        elif mark["literal"] is not None:
            texts.append(mark["literal"])
        elif bracket in opened:
            opened[bracket].append(len(texts))
            if len(opened[bracket]) > _DEEPEST:
                raise PromptError(
                    f"more than {_DEEPEST} {bracket!r} within each other; take some out, or write "
                    rf"\{bracket} for the character"
                )
        else:
            kind = "[" if bracket == "]" else "("
            if opened[kind]:
                factor = float(weight) if weight else factors[kind]
                spans.append((opened[kind].pop(), len(texts), factor))
            else:
                texts.append(mark.group())
                stray.append(bracket or ")")
    texts.append(text[place:])
    for kind, starts in opened.items():
        spans += [(start, len(texts), factors[kind]) for start in starts]
    return texts, spans, [b for b, starts in opened.items() for _ in starts], stray
