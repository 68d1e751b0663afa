"""What a run is, in a few facts, for a list of many: read once, and again when it has changed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ....configs.errors import RunFolderError
from ...runs import run_yaml
from ...runs.manifest import NAME
from . import run_folders, thumbnails

PICTURES = 4
"""Pictures shown of a run."""
REPORT = "report.html"


@dataclass(frozen=True)
class RunOverview:
    """A run in a few facts.

    Args:
        id: name of its folder.
        command: `run`, `generate`, `filter`, `enhance` or `replay`; "" where it is not recorded.
        classes: what was drawn or looked for.
        words: the edit, else the prompt; "" where there is neither.
        seed: seed of the first picture drawn, else of the run; None where nothing was drawn.
        changed: when a picture was last finished, in seconds since 1970.
        counts: shots by outcome.
        pictures: ids of up to PICTURES shots with a picture: of those enhanced or kept, if any.
        finished: whether all pictures were made: then the report was written.
        problem: why the record cannot be read.
    """

    id: str
    command: str = ""
    classes: tuple[str, ...] = ()
    words: str = ""
    seed: int | None = None
    changed: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    finished: bool = True
    problem: str = ""

    def matches(self, words: str) -> bool:
        """Return whether each word is part of its id, command, classes, edit or prompt."""
        text = " ".join((self.id, self.command, *self.classes, self.words)).lower()
        return all(word in text for word in words.lower().split())


def overview(root: Path, id_: str) -> RunOverview:
    """Return the overview of a run; raises RunNotFoundError."""
    folder = run_folders.folder(root, id_)
    return _overview(folder, tuple(_stamp(folder / n) for n in (run_yaml.NAME, NAME, REPORT)))


def find(root: Path, words: str = "") -> Iterator[RunOverview]:
    """Yield the runs below `root` that match, newest first."""
    for id_ in run_folders.ids(root):
        with contextlib.suppress(run_folders.RunNotFoundError):  # deleted meanwhile
            if _may_match(root / id_, words) and (run := overview(root, id_)).matches(words):
                yield run


def _may_match(folder: Path, words: str) -> bool:
    """Return whether each word is in run.yaml as text, which takes no time, or in the name."""
    if not words.strip():
        return True
    try:
        text = (folder / run_yaml.NAME).read_bytes().decode(errors="replace")
    except OSError:
        return False
    text = f"{folder.name}\n{text}".lower()
    return all(word in text for word in words.lower().split())


def thumbnail(root: Path, id_: str, shot: str) -> Path:
    """Return the small picture of a shot; raises RunNotFoundError, PictureError."""
    folder = run_folders.folder(root, id_)
    picture = _pictures(folder, _stamp(folder / NAME)).get(shot)
    if picture is None:
        raise run_folders.RunNotFoundError(f"no picture of {shot!r} in run {id_!r}")
    try:
        return thumbnails.thumbnail(picture, thumbnails.folder(root, id_))
    except OSError as error:
        raise run_folders.RunNotFoundError(f"{shot!r} cannot be read ({error.strerror})") from None


def _stamp(path: Path) -> tuple[int, int]:
    """Return size and time of a file, zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=64)
def _pictures(folder: Path, stamp: tuple[int, int]) -> dict[str, Path]:
    """Return the pictures of a run that may be shown, by the ids of their shots."""
    run = run_folders.read(folder.parent, folder.name)
    return {one.id: path for one in run.records if (path := run.shown_picture(one))}


@functools.lru_cache(maxsize=4096)
def _overview(folder: Path, stamps: tuple[tuple[int, int], ...]) -> RunOverview:
    changed = run_folders.changed(folder)
    try:
        record = run_yaml.read(folder)
        run = run_folders.read(folder.parent, folder.name)
    except RunFolderError as error:
        return RunOverview(folder.name, changed=changed, problem=str(error))
    request = record.get("request") or {}
    settings: Mapping[str, Any] = record.get("settings") or {}
    shown = [one for one in run.chosen() if one.kept] or run.chosen()
    _, manifest, report = stamps
    return RunOverview(
        id=folder.name,
        command=request.get("command") or "",
        classes=tuple(request.get("classes") or ()) or tuple(run.classes),
        words=_words(request, settings),
        seed=_seed(request, settings),
        changed=changed,
        counts=run.counts,
        pictures=tuple(islice((one.id for one in shown if run.shown_picture(one)), PICTURES)),
        finished=report[1] >= manifest[1] > 0,
    )


def _words(request: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    edits = ", ".join(edits_of(request))
    if edits or request.get("inputs"):
        return edits
    prompts = request.get("prompts") or [(settings.get("generate") or {}).get("prompt")]
    return str(prompts[0] or "").replace("{class}", next(iter(request.get("classes") or ()), ""))


def edits_of(request: Mapping[str, Any]) -> list[str]:
    """Return the edits of a request in run.yaml."""
    several = (request.get("options") or {}).get("edits") or []
    return [*map(str, several)] or [*filter(None, [str(request.get("edit") or "")])]


def _seed(request: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
    if request.get("command") == "filter":
        return None
    first = None if request.get("inputs") else (settings.get("generate") or {}).get("first_seed")
    return (settings.get("run") or {}).get("seed") if first is None else first
