"""Finds the names of textual inversions in a prompt, as A1111 does: by words, in any case.

Knows no files and no models.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

_WORD = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_")
"""What CLIP's tokenizer takes apart before it splits words: letters, a digit, other signs. Those
one by one, so that "<cat>" is found before a comma too."""


class Vector(NamedTuple):
    """A row of a textual inversion, in a chunk in place of a token."""

    name: str
    row: int


class Name(NamedTuple):
    """A name in a text."""

    name: str


def split(text: str, names: Collection[str]) -> Iterator[str | Name]:
    """Yield a text in order, in parts that are plain and names. The longest name counts.

    >>> list(split("a mug, easynegative, 2", ["EasyNegative", "Easy"]))
    ['a mug, ', Name(name='EasyNegative'), ', 2']
    """
    known = _words(tuple(names))
    words = list(_WORD.finditer(text)) if known else []
    start = at = 0
    while at < len(words):
        for spelled, name in known.get(words[at][0].lower(), ()):
            found = words[at : at + len(spelled)]
            if [word[0].lower() for word in found] == spelled:
                if text[start : found[0].start()]:
                    yield text[start : found[0].start()]
                yield Name(name)
                start, at = found[-1].end(), at + len(spelled) - 1
                break
        at += 1
    if text[start:] or not start:
        yield text[start:]


def found(text: str, names: Collection[str]) -> list[str]:
    """Return the names in a text, each once, in order."""
    return list(dict.fromkeys(part.name for part in split(text, names) if isinstance(part, Name)))


@functools.lru_cache(8)
def _words(names: tuple[str, ...]) -> dict[str, list[tuple[list[str], str]]]:
    """Names with their words, by the first word, longest first."""
    out: dict[str, list[tuple[list[str], str]]] = {}
    for name in names:
        words = _WORD.findall(name.lower())
        if words:
            out.setdefault(words[0], []).append((words, name))
    for many in out.values():
        many.sort(key=lambda pair: -len(pair[0]))
    return out
