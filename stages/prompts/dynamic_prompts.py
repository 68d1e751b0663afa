"""Templates with a choice in them: `{red|blue} mug`, `{2$$oak|ash|fir}`, `__colours__`.

The syntax is that of sd-dynamic-prompts. A seed chooses, so that a run repeats.
Wildcards come as a mapping of names to entries.
"""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ...configs.errors import UsageError
from .lora_tags import check_text

Wildcards = Mapping[str, Sequence[str]]

_NAME = re.compile(r"__((?:[^\W_]|[*./])(?:[\w\-./* ]{0,200}?(?:[^\W_]|\*))??)__")
_HOW_MANY = re.compile(r"\s*(\d{1,9})(?:-(\d{1,9}))?\$\$")
_WEIGHT = re.compile(r"\s*(\d{1,9}(?:\.\d+)?)::")
_PLAIN = re.compile(r"(?:(?!__)[\w\s,.'-])*")
_DEEPEST, _LONGEST, _MOST = 100, 250_000, 1_000_000
"""Most choices within each other, characters that the choices of a prompt draw in all, and
characters of all its variants."""


class WildcardError(UsageError):
    """A wildcard or a choice that cannot be drawn; the message says got, expected, remedy."""


@dataclass
class ChosenPrompt:
    """A template with its choices made. `picks`: what was asked and what was drawn, in order."""

    text: str
    picks: list[tuple[str, str]] = field(default_factory=list)


def draw(template: str, seed: int | str, wildcards: Wildcards | None = None) -> ChosenPrompt:
    """Make every choice of a template; a text without any comes back as it is.

    `{a|b}` is one of these, `{2$$a|b|c}` two different ones with ", " between, `{1-2$$ and $$a|b}`
    one or two with " and "; `{3::a|b}` makes `a` three times as likely. `__name__` is an entry of
    that wildcard, `__*/name__` of all that match. Choices nest. Braces without `|` or `$$` stay,
    as in `{class}`. Raises WildcardError for a wildcard that is not there or holds itself, and for
    choices that expand beyond all use.

    >>> draw("{red|blue} __thing__", 0, {"thing": ["mug", "{oak|ash} chair"]}).text
    'blue oak chair'
    """
    check_text(template)
    drawer = _Drawer(random.Random(seed), wildcards or {})
    return ChosenPrompt(drawer.text(template), drawer.picks)


def check(template: str, wildcards: Wildcards | None = None) -> None:
    """Raises WildcardError where some seed would: for every wildcard that can be reached."""
    drawer = _Drawer(random.Random(0), wildcards or {})
    done: set[str] = set()

    def visit(text: str, inside: tuple[str, ...]) -> None:
        for match in _NAME.finditer(text):
            if _in_tag(text, match.start()) and match[1] not in drawer.wildcards:
                continue
            entries = drawer.entries(match[1], inside)
            if match[1] not in done:
                _check_depth(len(inside))
                for entry in entries:
                    visit(entry, (*inside, match[1]))
                done.add(match[1])

    visit(template, ())


def variants(template: str, wildcards: Wildcards | None = None) -> list[str]:
    """Return texts that a template may draw: that of seed 0, and one for each option that is more
    than plain words, as far as they hold a million characters. Raises WildcardError.

    >>> variants("{red|<lora:oak:1>|ash} {mug|(cup)}")
    ['ash (cup)', 'red mug', '<lora:oak:1> mug', 'red (cup)']
    """
    check(template, wildcards)
    drawer = _Drawer(random.Random(0), wildcards or {})
    drawer.room = _MOST
    first = draw(template, 0, wildcards).text
    return list(dict.fromkeys([first, *_variants(template, drawer, set())]))


def notes(text: str) -> list[str]:
    """Return a sentence for each brace without its other half.

    >>> notes("a {red|blue mug")
    ["'{red|blue mug': the brace is never closed, and is read as text; expected {red|blue}"]
    """
    pairs = _closing(text)
    alone = {match.start() for match in re.finditer("[{}]", text)} - {*pairs, *pairs.values()}
    sentences = []
    for place in sorted(alone):
        if text[place] == "{":
            part, what = text[place : place + 20], "is never closed"
        else:
            part, what = text[max(0, place - 20) : place + 1], "was never opened"
        sentences.append(f"{part!r}: the brace {what}, and is read as text; expected {{red|blue}}")
    return sentences


def _variants(text: str, drawer: _Drawer, done: set[str], depth: int = 1) -> list[str]:
    """A text with the first options, and others with one option changed each; wildcards that are
    `done` give one entry."""
    _check_depth(depth)
    parts, place, closing = [], 0, _closing(text)
    for match in re.finditer(r"\{|__", text):
        start = match.start()
        if start < place:
            continue
        inner = text[start + 1 : closing[start]] if start in closing else ""
        name = _NAME.match(text, start)
        if _is_choice(inner):
            end, options = closing[start] + 1, _read_choice(inner)[-1]
        elif name and (not _in_tag(text, start) or name[1] in drawer.wildcards):
            end, options = name.end(), list(drawer.entries(name[1], ()))
            options = options[:1] if name[1] in done else options
            done.add(name[1])
        else:
            continue
        marks = [(_WEIGHT.match(option), option) for option in options]
        kept = [o[m.end() if m else 0 :].strip() for m, o in marks if not m or float(m[1]) > 0]
        if not kept:
            drawer.text(text[start:end])  # raises: every weight is 0
        plain = [option for option in kept if _PLAIN.fullmatch(option)]
        kept = plain[:1] + [option for option in kept if not _PLAIN.fullmatch(option)]
        chosen = [v for option in kept for v in _variants(option, drawer, done, depth + 1)]
        parts += [[text[place:start]], chosen]
        place = end
    parts.append([text[place:]])
    first, place = "".join(part[0] for part in parts), 0
    out = [first]
    for part in parts:
        after = place + len(part[0])
        for option in part[1:]:
            drawer.room -= len(first)
            if drawer.room > 0:
                out.append(first[:place] + option + first[after:])
        place = after
    return out


class _Drawer:
    def __init__(self, rng: random.Random, wildcards: Wildcards) -> None:
        self.rng, self.wildcards = rng, wildcards
        self.picks: list[tuple[str, str]] = []
        self.depth, self.room = 0, _LONGEST

    def text(self, text: str, inside: tuple[str, ...] = ()) -> str:
        """`text` with its choices made, from left to right; `inside`: the wildcards around it."""
        self.depth += 1
        _check_depth(self.depth)
        out, place, closing = "", 0, _closing(text)
        while place < len(text):
            if place in closing:
                inner = text[place + 1 : closing[place]]
                if _is_choice(inner):
                    out += self._choice(inner, inside)
                    place = closing[place] + 1
                    continue
            name = _NAME.match(text, place)
            if name and (not _in_tag(text, place) or name[1] in self.wildcards):
                (drawn,) = self._pick(self.entries(name[1], inside), 1)
                out += self._picked(name[0], self.text(drawn, (*inside, name[1])))
                place = name.end()
                continue
            out += text[place]
            place += 1
        self.depth -= 1
        return out

    def _choice(self, inner: str, inside: tuple[str, ...]) -> str:
        """One `{…}`, without its braces."""
        low, high, between, options = _read_choice(inner)
        name = _NAME.fullmatch(options[0].strip())
        if name and len(options) == 1:  # {2$$__colours__}: two different entries
            options = list(self.entries(name[1], inside))
            inside = (*inside, name[1])
        number = self.rng.randint(min(low, high), max(low, high)) if low != high else low
        chosen = [self.text(o, inside).strip() for o in self._pick(options, number)]
        return self._picked(f"{{{inner}}}", between.join(chosen))

    def _picked(self, choice: str, drawn: str) -> str:
        """Note what was drawn and return it."""
        self.room -= len(choice) + len(drawn)
        if self.room < 0:
            raise WildcardError(
                f"{choice[:60]!r}: the prompt's choices draw more than {_LONGEST:,} characters; "
                "expected wildcards that do not multiply"
            )
        self.picks.append((choice, drawn))
        return drawn

    def _pick(self, options: Sequence[str], number: int) -> list[str]:
        """So many of the options, each once, without their weights; all if there are fewer."""
        marks = [_WEIGHT.match(option) for option in options]
        weights = [float(mark[1]) if mark else 1.0 for mark in marks]
        left = [k for k, weight in enumerate(weights) if weight > 0]
        if not left:
            raise WildcardError(
                f"{{{'|'.join(options)}}}: every weight is 0; expected one above 0 to draw from"
            )
        picked: list[str] = []
        while left and len(picked) < number:
            (k,) = self.rng.choices(left, [weights[k] for k in left])
            left.remove(k)
            mark = marks[k]
            picked.append(options[k][mark.end() if mark else 0 :].strip())
        return picked

    def entries(self, name: str, inside: tuple[str, ...]) -> Sequence[str]:
        """The entries of a wildcard, or of all that match a name with `*`."""
        if name in inside:
            raise WildcardError(
                f"wildcard {' → '.join((*inside, name))} holds itself; take one of them out"
            )
        known = sorted(self.wildcards)
        names = [n for n in known if fnmatchcase(n, name)] if "*" in name else [name]
        if not names or not set(names) <= set(known):
            near = difflib.get_close_matches(name, known, 1, 0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise WildcardError(
                f"no wildcard {name!r}{hint} (there: {', '.join(known[:12]) or 'none'}"
                f"{f' and {len(known) - 12} more' if len(known) > 12 else ''}); "
                f"add {name}.txt to a folder of generate.wildcard_dirs"
            )
        return [entry for n in names for entry in self.wildcards[n]]


def _closing(text: str) -> dict[int, int]:
    """The places of braces that are closed, and of those that close them."""
    closing: dict[int, int] = {}
    opened: list[tuple[int, int]] = []
    depth = 0  # of what was closed last
    for match in re.finditer("[{}]", text):
        if match[0] == "{":
            opened.append((match.start(), depth))
            depth = 0
        elif opened:
            start, before = opened.pop()
            closing[start] = match.start()
            depth = max(before, depth + 1)
            _check_depth(depth)
    return closing


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise WildcardError(f"more than {_DEEPEST} choices within each other; take some out")


def _is_choice(inner: str) -> bool:
    return len(_split(inner)) > 1 or bool(_HOW_MANY.match(inner))


def _read_choice(inner: str) -> tuple[int, int, str, list[str]]:
    """How many options of a choice are drawn, at least and at most, what goes between, options."""
    low = high = 1
    between, rest = ", ", inner
    many = _HOW_MANY.match(inner)
    if many:
        low, high = int(many[1]), int(many[2] or many[1])
        rest = inner[many.end() :]
        first, dollars, others = rest.partition("$$")
        if dollars and "|" not in first:
            between, rest = first, others
    return low, high, between, _split(rest)


def _split(inner: str) -> list[str]:
    """The options of a choice: parted by `|`, but not by those of a choice within."""
    options, depth = [""], 0
    for character in inner:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "|" and depth == 0:
            options.append("")
        else:
            options[-1] += character
    return options


def _in_tag(text: str, place: int) -> bool:
    """Whether it stands in `<lora:…>`: names of files may hold `__` of their own."""
    return text.rfind("<", 0, place) > text.rfind(">", 0, place)
