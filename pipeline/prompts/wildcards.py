"""Wildcard files, and the variants that a run's shots choose from their prompts.

A file `colours.txt` is the wildcard `__colours__`, `wood/dark.txt` is `__wood/dark__`: an entry a
line, `#` begins a comment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError
from ...configs.text_files import read_text
from ...stages.prompts import dynamic_prompts
from .product_classes import class_prompts

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot

_COMMENT = re.compile(r"(^|\s)#.*")


class WildcardFileError(UsageError):
    """A wildcard folder or file cannot be read."""


class Folders(Mapping[str, tuple[str, ...]]):
    """The wildcards of some folders by name, read on demand; the first folder with a name wins,
    and hidden files, folders and pipes are left out.

    Raises WildcardFileError for a missing folder, and on reading for a file that is not text or
    holds no entry.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self._files: dict[str, Path] = {}
        self.read: dict[str, tuple[str, ...]] = {}
        for folder in (Path(f).expanduser() for f in folders):
            if not os.path.isdir(folder):
                raise WildcardFileError(
                    f"no folder {str(folder)!r}: expected one with wildcard files (colours.txt, "
                    "an entry a line); set generate.wildcard_dirs"
                )
            for file in sorted(folder.rglob("*.txt")):
                name = file.relative_to(folder).with_suffix("").as_posix()
                if file.is_file() and not re.search(r"(^|/)\.", name):
                    self._files.setdefault(name, file)

    def __getitem__(self, name: str) -> tuple[str, ...]:
        if name not in self.read:
            self.read[name] = _entries(self._files[name])
        return self.read[name]

    def fingerprint(self, name: str) -> str:
        """Return `sha256:…` of the entries of a file, without comments."""
        return f"sha256:{sha256(chr(10).join(self[name]).encode()).hexdigest()}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _entries(file: Path) -> tuple[str, ...]:
    lines = read_text(file, WildcardFileError, "an entry a line").splitlines()
    entries = tuple(filter(None, (_COMMENT.sub("", line).strip() for line in lines)))
    if not entries:
        raise WildcardFileError(f"{file}: no entry in it; expected one a line")
    return entries


_TEXTS = ("prompt", "negative_prompt")
"""Texts of the source of a generated shot."""


def load_wildcards(settings: Settings) -> Folders:
    """Return the wildcards of the settings' folders."""
    return Folders(settings.generate.wildcard_dirs)


def check_wildcards(settings: Settings, prompts: Iterable[str] = ()) -> Folders:
    """Check the settings' prompts and others with every choice in them; return the wildcards, of
    which those in use were read. Raises ValueError."""
    wildcards = load_wildcards(settings)
    g, r = settings.generate, settings.rerender
    texts = [g.prompt, g.negative_prompt, r.prompt or "", r.negative_prompt, *prompts]
    for text in (*texts, *class_prompts(settings)):
        dynamic_prompts.check(text, wildcards)
    return wildcards


def hash_wildcards(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of the entries of each wildcard that the settings' prompts and others can
    use, as `wildcard:name`; {} if they cannot be read."""
    try:
        wildcards = check_wildcards(settings, prompts)
    except ValueError:  # a run without stages 1 and 3 needs none of them
        return {}
    return {f"wildcard:{name}": wildcards.fingerprint(name) for name in sorted(wildcards.read)}


def have_choices(shots: Iterable[Shot], wildcards: dynamic_prompts.Wildcards) -> bool:
    """Return whether a text of a shot differs by its seed, or is written with escapes."""
    texts = {
        text
        for shot in shots
        for text in (*(getattr(shot.source, name, "") for name in _TEXTS), shot.edit)
    }
    return any(dynamic_prompts.draw(text, 0, wildcards).text != text for text in texts)


def choose_variants(shots: Sequence[Shot], wildcards: dynamic_prompts.Wildcards) -> list[Shot]:
    """Choose variants of each shot's prompt, negative prompt and edit, by the shot's seed."""
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
