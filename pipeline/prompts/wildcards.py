"""Folders of wildcard files, and the prompts of a run's shots with their choices made.

A file `colours.txt` is the wildcard `__colours__`, `wood/dark.txt` is `__wood/dark__`: an entry a
line, `#` begins a comment. Knows no models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError
from ...stages.prompts import dynamic_prompts

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot

_COMMENT = re.compile(r"(^|\s)#.*")


class WildcardFileError(UsageError):
    """A wildcard folder or file that cannot be read; the message says got, expected, remedy."""


class Folders(Mapping[str, tuple[str, ...]]):
    """The wildcards of some folders by name; a file is read when it is asked for.

    Where two folders hold a name, the first one's counts. Raises WildcardFileError for a folder
    that is not there, and when read for a file that is not text or holds no entry.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self._files: dict[str, Path] = {}
        self._read: dict[str, tuple[str, ...]] = {}
        for folder in (Path(f).expanduser() for f in folders):
            if not folder.is_dir():
                raise WildcardFileError(
                    f"no folder {str(folder)!r}: expected one with wildcard files (colours.txt, "
                    "an entry a line); set generate.wildcard_dirs"
                )
            for file in sorted(folder.rglob("*.txt")):
                self._files.setdefault(file.relative_to(folder).with_suffix("").as_posix(), file)

    def __getitem__(self, name: str) -> tuple[str, ...]:
        if name not in self._read:
            self._read[name] = _entries(self._files[name])
        return self._read[name]

    @property
    def asked(self) -> frozenset[str]:
        """The names that were asked for so far."""
        return frozenset(self._read)

    def fingerprint(self, name: str) -> str:
        """`sha256:…` over the entries of a file, comments left out."""
        return f"sha256:{sha256(chr(10).join(self[name]).encode()).hexdigest()}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _entries(file: Path) -> tuple[str, ...]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise WildcardFileError(
            f"{file}: not UTF-8 text; expected an entry a line; save it as UTF-8"
        ) from None
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise WildcardFileError(f"{file}: {why}; expected a text file; check it") from None
    bare = (_COMMENT.sub("", line).strip() for line in lines)
    entries = tuple(line for line in bare if line)
    if not entries:
        raise WildcardFileError(f"{file}: no entry in it; expected one a line")
    return entries


def load_wildcards(settings: Settings) -> Folders:
    """The wildcards that the settings name."""
    return Folders(settings.generate.wildcard_dirs)


def check_wildcards(settings: Settings) -> None:
    """Raises ValueError for a prompt of the settings that some seed could not draw."""
    wildcards = load_wildcards(settings)
    g, r = settings.generate, settings.rerender
    texts = [g.prompt, g.negative_prompt, r.prompt or "", r.negative_prompt]
    texts += [text for c in settings.classes.values() for text in (c.prompt or "", c.edit)]
    for text in texts:
        dynamic_prompts.check(text, wildcards)


def hash_wildcards(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256 over the entries of each wildcard file that the settings' and these prompts can
    draw from, as `wildcard:name`; {} where they cannot be read."""
    g, r = settings.generate, settings.rerender
    texts = [g.prompt, g.negative_prompt, r.prompt or "", r.negative_prompt, *prompts]
    texts += [text for c in settings.classes.values() for text in (c.prompt or "", c.edit)]
    try:
        known = load_wildcards(settings)
        for text in texts:
            dynamic_prompts.check(text, known)
    except ValueError:  # a run without stages 1 and 3 needs none of them
        return {}
    return {f"wildcard:{name}": known.fingerprint(name) for name in sorted(known.asked)}


def choose_variants(shots: Sequence[Shot], wildcards: dynamic_prompts.Wildcards) -> list[Shot]:
    """The shots with the choices of prompt, negative prompt and edit made, each by its own seed."""
    out = []
    for shot in shots:
        source: Any = shot.source
        if hasattr(source, "prompt"):
            text = dynamic_prompts.draw(source.prompt, shot.seed, wildcards).text
            source = replace(
                source,
                prompt=text.replace("{class}", shot.classes[0]) if shot.classes else text,
                negative_prompt=dynamic_prompts.draw(
                    source.negative_prompt, f"{shot.seed}/negative", wildcards
                ).text,
            )
        edit = dynamic_prompts.draw(shot.edit, f"{shot.seed}/edit", wildcards).text
        out.append(replace(shot, source=source, edit=edit))
    return out
