"""What is known of each model and where it is: embedded, local, cached, in part, missing.

Knows the catalogue, the lock and the cache; no network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..catalog.entry import Entry, UnknownCheckpointError
from ..catalog.names import catalogue, find, resolve
from ..identify import model_kind
from . import cache as hub_cache
from . import download as hub_download
from . import lockfile, pull
from .lockfile import Pin, PinnedFile

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Status:
    """A model and where it is. `where`: embedded, local, cached, partial, missing; `size`: bytes
    on disk; `lacking`: pinned files that are not there, or have another size."""

    name: str
    entry: Entry
    where: str
    folder: Path | None = None
    size: int = 0
    commit: str | None = None
    pinned: bool = False
    lacking: tuple[str, ...] = ()
    files: tuple[tuple[str, PinnedFile], ...] = ()

    @property
    def page(self) -> str | None:
        """The model's page on the hub."""
        return (
            f"{hub_download.endpoint()}/{self.entry.repository}" if self.entry.repository else None
        )

    def as_dict(self, *, files: bool = False) -> dict[str, Any]:
        """The fields for JSON; with `files` each pinned file's size and hash."""
        values = {"name": self.name, **asdict(self.entry), "page": self.page, "where": self.where}
        values |= {"folder": str(self.folder) if self.folder else None, "size": self.size}
        values |= {"commit": self.commit, "pinned": self.pinned, "lacking": self.lacking}
        if files:
            values["pins"] = {name: asdict(file) for name, file in self.files}
        return values


@dataclass(frozen=True)
class Verified:
    """What re-reading a model's files has shown. `bad`: files that are missing or differ."""

    name: str
    files: int
    bad: tuple[str, ...]
    by: str

    @property
    def text(self) -> str:
        """One line for a reader."""
        if not self.bad:
            return f"{self.name}: {self.files} files, all as {self.by}"
        rest = f" and {len(self.bad) - 1} more" if len(self.bad) > 1 else ""
        return (
            f"{self.name}: {self.bad[0]}{rest} missing or not as {self.by}; fetch anew: "
            f"visuals checkpoints pull {self.name}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The fields for JSON."""
        return {**asdict(self), "ok": not self.bad}


def every(path: Path | None = None) -> list[Status]:
    """All names of the catalogue, the user's own, and what else the lock file pins."""
    pins = lockfile.read(path)
    names = catalogue()
    known = {entry.repository for entry in names.values()}
    out = [_status(name, entry, pins) for name, entry in names.items()]
    for repository in pins:
        if repository not in known:
            out.append(_status(repository, Entry("model", repository=repository), pins))
    return out


def of(ref: str, path: Path | None = None) -> Status:
    """The status of a name, or of a repository. Raises UnknownCheckpointError."""
    entry = find(ref)
    if entry is None:
        where = resolve(ref)
        local = Path(where).exists()
        entry = Entry(model_kind.guess(where), path=where) if local else pull.wanted(ref)[1]
    return _status(ref, entry, lockfile.read(path))


def verifiable(path: Path | None = None) -> list[str]:
    """The names of which something is pinned or in the cache, each repository's files once."""
    return [s.name for s in every(path) if s.entry.repository and (s.pinned or s.where == "cached")]


def verify(
    ref: str, path: Path | None = None, *, progress: Callable[[int, int], None] = lambda d, t: None
) -> Verified:
    """Read a model's files again and compare them with the pinned hashes; of a model that is not
    pinned with the hashes that the cache names its files by."""
    status = of(ref, path)
    repository = status.entry.repository
    if repository is None:
        raise UnknownCheckpointError(
            f"{ref} is {status.where}: it has no hashes to be compared with"
        )
    if status.pinned:
        pin, by = Pin(status.commit or "", dict(status.files)), "pinned"
    else:
        if not status.folder:
            raise UnknownCheckpointError(
                f"{ref} is neither pinned nor in the cache; visuals checkpoints pull {ref}"
            )
        pin, by = _by_name(repository, status), "the cache names them"
    total = pin.size
    bad = hub_cache.lacking(repository, pin, anew=True, tick=lambda n: progress(n, total))
    return Verified(ref, len(pin.files), tuple(bad), by)


def _status(name: str, entry: Entry, pins: dict[str, Pin]) -> Status:
    if entry.repository is None:
        try:
            place = Path(resolve(name))
        except UnknownCheckpointError:
            return Status(name, entry, "missing")
        kind = "embedded" if entry.folder else "local"
        return Status(name, entry, kind, place, _size(place))
    pin = pins.get(entry.repository)
    pin = pull.part(pin, entry) if pin else None
    if pin is None or not pin.files:
        return _unpinned(name, entry, entry.repository)
    folder = hub_cache.snapshot(entry.repository, pin.commit)
    sizes = {n: _length(folder / n) for n in pin.files}
    lacking = tuple(n for n, file in pin.files.items() if sizes[n] != file.size)
    begun = sum(_length(hub_download.partial(entry.repository, pin.files[n])) or 0 for n in lacking)
    size = begun + sum(sizes[n] or 0 for n in pin.files if n not in lacking)
    where = "cached" if not lacking else "partial" if size else "missing"
    there = folder if where != "missing" else None
    files = tuple(sorted(pin.files.items()))
    return Status(name, entry, where, there, size, pin.commit, True, lacking, files)


def _unpinned(name: str, entry: Entry, repository: str) -> Status:
    """What other programs, or an earlier load, have left in the cache."""
    commit = hub_cache.head(repository)
    folder = hub_cache.snapshot(repository, commit) if commit else None
    if folder is None or not folder.is_dir():
        return Status(name, entry, "missing")
    weights = [p for p in folder.rglob("*.safetensors") if p.exists()]
    wanted = [p for p in weights if not entry.files or _is_of(p, folder, entry)]
    if not wanted:
        return Status(name, entry, "missing")
    return Status(name, entry, "cached", folder, _size(folder), commit)


def _is_of(path: Path, folder: Path, entry: Entry) -> bool:
    name = path.relative_to(folder).as_posix()
    return bool(pull.part(Pin("", {name: PinnedFile(0)}), entry).files)


def _by_name(repository: str, status: Status) -> Pin:
    """A pin made of the names of the blobs, which are hashes: SHA-256 or git's SHA-1."""
    files = {}
    assert status.folder is not None
    for path in sorted(status.folder.rglob("*")):
        real = path.resolve()
        if not real.is_file() or not _HASH.fullmatch(real.name):
            continue
        size, text = real.stat().st_size, real.name
        name = path.relative_to(status.folder).as_posix()
        long = len(text) == 64
        files[name] = PinnedFile(size, text if long else None, None if long else text)
    return Pin(status.commit or "", files)


def _length(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _size(place: Path) -> int:
    if place.is_file():
        return place.stat().st_size
    return sum(os.stat(p).st_size for p in place.rglob("*") if p.is_file())
