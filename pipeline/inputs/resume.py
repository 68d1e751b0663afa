"""Which shots of a run are done already, matched with the lines of its manifest.

Photos are compared by content: one that was renamed or moved is still done, one that changed is
not. Decodes no picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...checkpoints import hashing
from .lazy_shots import LazyShots, ShotName

if TYPE_CHECKING:
    from ..runs.manifest import ManifestRecord


@dataclass(frozen=True)
class Remaining:
    """`shots`: those still to be made; `outdated`: ids whose lines are to be removed from the
    manifest; `done`: the number of finished shots."""

    shots: LazyShots
    outdated: frozenset[str]
    done: int


def content(path: str | Path) -> dict[str, str | int]:
    """Return a file's SHA-256, size and time; raises OSError, also for what is no plain file."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no plain file")
    stat = os.stat(path)
    return {
        "sha256": hashing.sha256(path),
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
    }


def remaining(
    shots: LazyShots, records: Iterable[ManifestRecord], *, retry_failed: bool = False
) -> Remaining:
    """Return the shots that the lines of a manifest leave to be made.

    A photo is done where its path has a line and the file is as it was (size and time, else
    content), or where a line that no other file has is of its content. A name that is taken
    by another picture gets a number.
    """
    known: dict[str, _Line] = {}
    failed = set()
    for record in records:
        known[record.id] = _Line(record.id, record.input, record.content)
        failed.discard(record.id)
        if retry_failed and record.status == "failed":
            failed.add(record.id)
    if not known:
        return Remaining(shots, frozenset(), 0)
    matched = _match(shots.names, known)
    used = {id_.lower() for id_ in matched.values()}
    todo, outdated = [], set()
    for k, name in enumerate(shots.names):
        id_ = matched.get(k, "")
        if id_ and id_ not in failed:
            continue
        if not id_:
            id_, number = name.id, 2
            while id_.lower() in used:
                id_, number = f"{name.id}_{number}", number + 1
            used.add(id_.lower())
        todo.append(name._replace(id=id_))
        if id_ in known:
            outdated.add(id_)
    done = len(shots) - len(todo)
    return Remaining(LazyShots(todo, shots.make), frozenset(outdated), done)


class _Line(NamedTuple):
    id: str
    path: str | None
    content: Mapping[str, Any] | None


def _match(names: Sequence[ShotName], known: Mapping[str, _Line]) -> dict[int, str]:
    """By a name's place, the id of the line that has its picture."""
    by_path = {os.path.abspath(line.path): line for line in known.values() if line.path}
    matched: dict[int, str] = {}
    taken: set[str] = set()
    for k, name in enumerate(names):
        if name.path is None:
            line = known.get(name.id)
        else:
            line = by_path.get(os.path.abspath(name.path))
            if line and (line.id in taken or not _same_file(name.path, line)):
                line = None
        if line:
            matched[k] = line.id
            taken.add(line.id)
    spare: dict[tuple[int, str], list[str]] = {}
    for line in known.values():
        if line.id not in taken and line.content:
            key = int(line.content["bytes"]), str(line.content["sha256"])
            spare.setdefault(key, []).append(line.id)
    sizes = {size for size, _ in spare}
    keys = {
        k: _key(name.path, sizes)
        for k, name in enumerate(names)
        if sizes and name.path and k not in matched
    }
    for own in (True, False):  # of two with the same content, the one of that name comes first
        for k, key in keys.items():
            lines = spare.get(key)
            if lines and k not in matched and (not own or names[k].id in lines):
                id_ = names[k].id if own else lines[0]
                lines.remove(id_)
                matched[k] = id_
    return matched


def _same_file(path: str, line: _Line) -> bool:
    """Whether the file is still the one of the line; without its content on record, yes."""
    if not line.content:
        return True
    try:
        stat = os.stat(path)
        if stat.st_size != line.content["bytes"]:
            return False
        if stat.st_mtime_ns == line.content["mtime_ns"]:
            return True
        return content(path)["sha256"] == line.content["sha256"]
    except OSError:
        return True


def _key(path: str, sizes: set[int]) -> tuple[int, str]:
    """Size and content of a file; its content is read only where one of `sizes` fits."""
    try:
        size = os.stat(path).st_size
        return size, str(content(path)["sha256"]) if size in sizes else ""
    except OSError:
        return -1, ""
