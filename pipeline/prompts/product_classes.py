"""Product classes of a run: those of the request merged with those of the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...configs.errors import UsageError
from ...configs.schema import Settings, check, load_settings
from ...stages.classes import MERGED, SCENE, ClassSpec
from .model_vocabulary import check_classes, unknown_words


class ClassError(UsageError):
    """A class of a request has a wrong form."""


def parse_classes(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Parse `name` or `name=phrase|phrase` into names with phrases, () without any.

    >>> parse_classes(["mug", "Sneaker = running shoe|trainers"])
    {'mug': (), 'sneaker': ('running shoe', 'trainers')}
    """
    out: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, equals, rest = text.partition("=")
        phrases = tuple(_plain(p) for p in rest.split("|"))
        if not _plain(name) or (equals and not all(phrases)):
            raise ClassError(
                f"class {text!r}: expected NAME, or NAME=PHRASE|PHRASE with words on both sides"
            )
        out[_plain(name)] = out.get(_plain(name), ()) + (phrases if equals else ())
    return out


@dataclass(frozen=True)
class KnownClasses:
    """The classes that a preset names.

    Args:
        names: classes, each with its other names.
        any_other: whether its models look for any other words as well.
    """

    names: Mapping[str, tuple[str, ...]]
    any_other: bool


def preset_classes(preset: str) -> KnownClasses:
    """Return the classes of a preset; raises SettingsError for an unknown one."""
    from ...checkpoints.load import known_words

    settings = load_settings(preset)
    own = {n: spec.phrases for n, spec in settings.classes.items() if n not in (MERGED, SCENE)}
    known = known_words(settings.detect.model)
    words = known or {"classes": (), "synonyms": {}}
    synonyms = {n: tuple(words["synonyms"].get(n, ())) for n in words["classes"]}
    return KnownClasses({**synonyms, **own}, any_other=known is None)


def merge_classes(
    settings: Settings,
    given: Sequence[str],
    known: Mapping[str, Any] | None,
    *,
    preset: str,
    fallback: bool = True,
) -> tuple[Settings, list[str], list[str]]:
    """Return (settings with these classes, their names, warnings).

    Without classes in the request, those of the settings are used, and returned as names only if
    `fallback`. A name without phrases is translated to the model's (`Shoe` → `sneaker`); given
    phrases replace those of the settings. "scene" and "merged" of the settings are not detected
    but stay, for the prompts of such masks. Raises ClassError, or UnknownClassError for a phrase
    that the model was not trained on.
    """
    own = {_plain(name): spec for name, spec in settings.classes.items()}
    masks = {n: own[n].model_dump(mode="json") for n in (MERGED, SCENE) if n in own}
    requested = parse_classes(given) or {name: () for name in own if name not in masks}
    bare = [n for n, words in requested.items() if not words and not (n in own and own[n].phrases)]
    check_classes(bare, known, preset=preset)  # names all that are unknown at once
    known_as = {name: check_classes([name], known, preset=preset)[0] for name in bare}
    classes: dict[str, Any] = dict(masks)
    names, warnings = [], []
    for name, words in requested.items():
        spec = own.get(name) or own.get(known_as.get(name, name))
        values: dict[str, Any] = spec.model_dump(mode="json") if spec else {}
        name = known_as.get(name, name)
        if words or values.get("phrases"):
            phrases = check_classes(words or values["phrases"], known, preset=preset)
            values["phrases"] = phrases
        unknown = [w for p in values.get("reject", ()) for w in unknown_words(p, known)]
        if unknown:
            warnings.append(f"reject phrases of {name!r} hold unknown words: {', '.join(unknown)}")
        if values:
            classes[name] = values
        names.append(name)
    made = check({**settings.model_dump(mode="json"), "classes": classes})
    return made, list(dict.fromkeys(names)) if given or fallback else [], warnings


def without_prompts(settings: Settings) -> Settings:
    """Return the settings without prompts of classes, for a prompt that overrides them."""
    values = settings.model_dump(mode="json")
    for spec in values["classes"].values():
        spec["prompt"] = None
    return check(values)


def class_specs(settings: Settings) -> dict[str, ClassSpec]:
    """Return the settings' classes for the stages."""
    return {
        name: ClassSpec(name, phrases=c.phrases, reject=c.reject, threshold=c.threshold)
        for name, c in settings.classes.items()
    }


def class_prompts(settings: Settings) -> list[str]:
    """Return every prompt and edit of the settings' classes."""
    return [t for c in settings.classes.values() for t in (c.prompt, c.edit) if t]


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(". ")
