"""Checks user prompts and classes against a model's vocabulary.

Small models know few words, which `checkpoints.load.known_words` reads from their words.json.
Without that file every word is taken as known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...configs.errors import UsageError
from ...configs.schema import nearest

# Function words, which every model has seen in its captions.
_SMALL = frozenset(("a", "an", "and", "of", "on", "in", "with", "the", "at", "by", "for", "to"))


class UnknownClassError(UsageError):
    """The preset's models were not trained on a class."""


def class_names(known: Mapping[str, Any]) -> list[str]:
    """Return the classes and their synonyms."""
    synonyms = [word for many in known.get("synonyms", {}).values() for word in many]
    return [*known["classes"], *synonyms]


def check_classes(
    classes: Sequence[str],
    known: Mapping[str, Any] | None,
    *,
    preset: str,
    larger: str = "sd15",
) -> list[str]:
    """Return classes by the model's names (`Shoe` → `sneaker`); raises UnknownClassError.

    >>> check_classes(["Shoe"], {"classes": ["sneaker"], "synonyms": {"sneaker": ["shoe"]}},
    ...               preset="mini")
    ['sneaker']
    """
    given = [" ".join(name.lower().split()) for name in classes]
    if known is None:
        return list(dict.fromkeys(given))
    same = {word: name for name, many in known.get("synonyms", {}).items() for word in many}
    names = class_names(known)
    unknown = [name for name in given if name not in names]
    if unknown:
        hint = nearest(unknown[0], names) if len(unknown) == 1 else ""
        what = ", ".join(repr(name) for name in unknown)
        raise UnknownClassError(
            f"preset {preset!r} does not know {what}{hint} (it knows "
            f"{', '.join(known['classes'])}; --preset {larger} knows the rest)"
        )
    return list(dict.fromkeys(same.get(name, name) for name in given))


def unknown_words(text: str, known: Mapping[str, Any] | None, usual: str = "") -> list[str]:
    """Return the words of a prompt that are not in the vocabulary, without tags, wildcards and
    weights. `usual`: the preset's prompt, whose words count as known.

    >>> unknown_words("a red sneaker in the jungle, <lora:x:1>", {"classes": ["sneaker"],
    ...     "synonyms": {}, "colours": ["red"], "materials": [], "scenes": [], "other": []})
    ['jungle']
    """
    if known is None:
        return []
    phrases = class_names(known)
    for key in ("colours", "materials", "scenes", "other", "tags"):
        phrases += known.get(key, [])
    vocabulary = {word for phrase in phrases for word in re.findall(r"\w+", phrase.lower())}
    vocabulary.update(re.findall(r"\w+", usual.lower()))
    plain = re.sub(r"<[^>]*>|\bBREAK\b|__[\w\-./* ]+?__", " ", text)
    words = [word for word in re.findall(r"\w+", plain.lower()) if not word.isdigit()]
    return [word for word in dict.fromkeys(words) if word not in vocabulary and word not in _SMALL]
