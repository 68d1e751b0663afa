"""A1111's prompt editing: `[from:to:when]` and `[one|other]`, texts that change between steps.

As in stable-diffusion-webui's wiki, "Prompt editing" and "Alternating words". `when` is a share of
the steps if it has a point, else a number of steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PLAIN = re.compile(r"(?:[^\\\[\]():|]|\\.)+")
_WHEN = re.compile(r":\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*\]")
_DEEPEST = 100
"""Brackets within each other; deeper ones are characters."""


@dataclass(frozen=True)
class Edit:
    """A part that changes.

    Args:
        options: before and after, or the texts that alternate.
        when: as it is written; "" for alternating words.
        form: the whole part as it is written.
    """

    options: tuple[Prompt, ...]
    when: str
    form: str

    @property
    def kind(self) -> str:
        return "prompt editing" if self.when else "alternating words"


Prompt = tuple[str | Edit, ...]


def schedule(text: str, steps: int, done: int = 0) -> list[tuple[int, str]]:
    """Return the texts of a prompt with the step, from 1, at which each ends.

    `done`: the steps of the first pass, in the second one of a hires fix.

    >>> schedule("a [mug:cup:0.5]", 10)
    [(5, 'a mug'), (10, 'a cup')]
    """
    prompt = parse(text)
    ends = {steps}
    for edit in _edits(prompt):
        ends |= {_end(edit, steps, done)} if edit.when else set(range(1, steps + 1))
    return [(end, _text(prompt, end, steps, done)) for end in sorted(ends) if end > 0]


def texts(text: str, steps: int, done: int = 0) -> list[str]:
    """Return the text of each step.

    As in A1111, which counts steps from 0 here: a text that ends at step n has n + 1 of them.

    >>> texts("[mug|cup]", 4)
    ['mug', 'mug', 'cup', 'mug']
    """
    parts = schedule(text, steps, done)
    return [next(part for end, part in parts if step <= end) for step in range(steps)]


def edits(text: str) -> list[Edit]:
    """Return the edits of a prompt that are not within others."""
    return [part for part in parse(text) if isinstance(part, Edit)]


def parse(text: str) -> Prompt:
    """Return the texts and the edits of a prompt in order.

    A `|` outside of square brackets makes all of it one text, as in A1111.
    """
    parts: list[str | Edit] = []
    reader, place = _Reader(text), 0
    while place < len(text):
        inner, place = reader.prompt(place)
        parts += inner
        if text[place : place + 1] in ("|", "\\"):
            return (text,)
        parts.append(text[place : place + 1])
        place += 1
    return tuple(parts)


def _edits(prompt: Prompt) -> Iterator[Edit]:
    for part in prompt:
        if isinstance(part, Edit):
            yield part
            for option in part.options:
                yield from _edits(option)


def _end(edit: Edit, steps: int, done: int) -> int:
    """The last step of what stands before."""
    when = float(edit.when)
    when = (when - bool(done)) * steps if "." in edit.when else when - done
    return int(min(steps, max(when, 0)))


def _text(prompt: Prompt, step: int, steps: int, done: int) -> str:
    out = ""
    for part in prompt:
        if isinstance(part, str):
            out += part
            continue
        after = step > _end(part, steps, done) if part.when else (step - 1) % len(part.options)
        out += _text(part.options[after], step, steps, done)
    return out


class _Reader:
    """Reads nested brackets, each place once."""

    def __init__(self, text: str) -> None:
        self.text, self.depth = text, 0
        self.known: dict[int, tuple[list[str | Edit], int] | None] = {}

    def prompt(self, place: int) -> tuple[list[str | Edit], int]:
        """Everything up to a character that begins nothing, and its place."""
        parts: list[str | Edit] = []
        while place < len(self.text):
            plain = _PLAIN.match(self.text, place)
            if plain:
                parts.append(plain.group())
                place = plain.end()
                continue
            found = self.bracket(place) if self.text[place] in "([" else None
            if not found:
                break
            parts += found[0]
            place = found[1]
        return parts, place

    def bracket(self, place: int) -> tuple[list[str | Edit], int] | None:
        """What a bracket holds, and where it ends; None where it is a character."""
        if place not in self.known and self.depth < _DEEPEST:
            self.depth += 1
            read = self.emphasis if self.text[place] == "(" else self.edit
            self.known[place] = read(place)
            self.depth -= 1
        return self.known.get(place)

    def emphasis(self, place: int) -> tuple[list[str | Edit], int] | None:
        inner, end = self.prompt(place + 1)
        if self.text.startswith(":", end):
            weight, end = self.prompt(end + 1)
            inner += [":", *weight]
        return (["(", *inner, ")"], end + 1) if self.text.startswith(")", end) else None

    def edit(self, place: int) -> tuple[list[str | Edit], int] | None:
        first, end = self.prompt(place + 1)
        options: list[Prompt] = [tuple(first)]
        if self.text.startswith("]", end):
            return ["[", *first, "]"], end + 1
        if self.text.startswith("|", end):
            while self.text.startswith("|", end):
                option, end = self.prompt(end + 1)
                options.append(tuple(option))
            if not self.text.startswith("]", end):
                return None
            return [Edit(tuple(options), "", self.text[place : end + 1])], end + 1
        when = _WHEN.match(self.text, end)
        if when:
            options.insert(0, ())
        elif self.text.startswith(":", end):
            option, end = self.prompt(end + 1)
            options.append(tuple(option))
            when = _WHEN.match(self.text, end)
        if not when:
            return None
        return [Edit(tuple(options), when[1], self.text[place : when.end()])], when.end()
