"""Resumption: matches the shots of a run with the lines of its manifest.

Photos are compared by content: one that was renamed or moved is still done, one that changed is
not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...checkpoints import hashing
from .find_files import free_name
from .lazy_shots import LazyShots, ShotName

if TYPE_CHECKING:
    from ..runs.manifest import ManifestRecord


@dataclass(frozen=True)
class Remaining:
    """`shots`: still to be made; `outdated`: ids whose lines must be removed from the manifest;
    `done`: number of finished shots."""

    shots: LazyShots
    outdated: frozenset[str]
    done: int


def content(path: str | Path) -> dict[str, str | int]:
    """Return SHA-256, size and time of a regular file; raises OSError."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no plain file")
    stat = os.stat(path)
    sha256 = hashing.sha256(path)
    return {"sha256": sha256, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def remaining(
    shots: LazyShots,
    records: Iterable[ManifestRecord],
    *,
    retry_failed: bool = False,
    there: Callable[[str], bool] = lambda name: True,
) -> Remaining:
    """Return the shots without a line in the manifest or without a file that their line names.

    With `retry_failed` the failed ones too. `there`: whether the run has a file of that name.

    A photo is done if its path has a line and the file is unchanged (by size and time, else by
    content), or if its content is that of a line of which the file is gone. An id that another
    picture has is numbered.
    """

    def again(record: ManifestRecord) -> bool:
        failed = retry_failed and record.status == "failed"
        return failed or not all(map(there, record.file_names))

    known = {r.id: _Line(r.id, r.input, r.content, again(r)) for r in records}
    if not known:
        return Remaining(shots, frozenset(), 0)
    matched = _match(shots.names, known)
    used = {id_.lower() for id_ in matched.values()}
    todo = []
    for k, name in enumerate(shots.names):
        id_ = matched.get(k)
        if id_ is None:
            todo.append(name._replace(id=free_name(name.id, used)))
        elif known[id_].again:
            todo.append(name._replace(id=id_))
    outdated = frozenset(name.id for name in todo if name.id in known)
    return Remaining(LazyShots(todo, shots.make), outdated, len(shots) - len(todo))


class _Line(NamedTuple):
    id: str
    path: str | None
    content: Mapping[str, Any] | None
    again: bool


def _match(names: Sequence[ShotName], known: Mapping[str, _Line]) -> dict[int, str]:
    """Return the ids of the lines that match names, by the place of the name."""
    by_path = {os.path.abspath(line.path): line for line in known.values() if line.path}
    matched: dict[int, str] = {}
    taken: set[str] = set()
    for k, name in enumerate(names):
        if name.path is None:
            line = known.get(name.id)
        elif name.variant:
            line = known.get(name.id)
            line = line if line and _same_file(name.path, line) else None
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
        if sizes and name.path and not name.variant and k not in matched
    }
    for by_id in (True, False):  # of two with the same content, the one of that id comes first
        for k, key in keys.items():
            lines = spare.get(key)
            if lines and k not in matched and (not by_id or names[k].id in lines):
                id_ = names[k].id if by_id else lines[0]
                lines.remove(id_)
                matched[k] = id_
    return matched


def _same_file(path: str, line: _Line) -> bool:
    """Whether the file is still that of the line; true without recorded content."""
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
    """Size and SHA-256 of a file, which is read only if its size is among `sizes`."""
    try:
        size = os.stat(path).st_size
        return size, str(content(path)["sha256"]) if size in sizes else ""
    except OSError:
        return -1, ""
