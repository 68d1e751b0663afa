"""Shows where each model is: embedded, local, cached, partial or missing; verifies cached files."""

from __future__ import annotations

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
    """A model and where it is.

    Args:
        name: Its name or repository.
        entry: Its catalogue entry.
        where: "embedded", "local", "cached", "partial" or "missing".
        folder: The folder or file that would be loaded.
        size: Bytes on disk.
        commit: The pinned commit, else the cached one.
        pinned: Whether the lock file pins it.
        lacking: Pinned files that are missing or of another size.
        files: The pinned files by name.
    """

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
        repository = self.entry.repository
        return f"{hub_download.endpoint()}/{repository}" if repository else None

    def as_dict(self, *, files: bool = False) -> dict[str, Any]:
        """Return the fields for JSON; with `files` the size and hash of each pinned file."""
        values = {"name": self.name, **asdict(self.entry), "page": self.page, "where": self.where}
        values |= {"folder": str(self.folder) if self.folder else None, "size": self.size}
        values |= {"commit": self.commit, "pinned": self.pinned, "lacking": self.lacking}
        if files:
            values["pins"] = {name: asdict(file) for name, file in self.files}
        return values


@dataclass(frozen=True)
class Verified:
    """Result of hashing a model's files. `bad`: missing or differing files; `by`: what was
    compared with, "pinned" or "the cache names them"."""

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
            f"{self.name}: {self.bad[0]}{rest} missing or not as {self.by}; download again: "
            f"visuals checkpoints pull {self.name}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**asdict(self), "ok": not self.bad}


def list_all(path: Path | None = None) -> list[Status]:
    """Return the status of all names, and of other repositories that the lock file pins."""
    pins = lockfile.read(path)
    names = catalogue()
    known = {entry.repository for entry in names.values()}
    names |= {r: Entry("model", repository=r) for r in pins if r not in known}
    return [_status(name, entry, pins) for name, entry in names.items()]


def look_up(ref: str, path: Path | None = None) -> Status:
    """Return the status of a name or repository. Raises UnknownCheckpointError."""
    entry = find(ref)
    if entry is None:
        where = resolve(ref)
        is_local = Path(where).exists()
        entry = (
            Entry(model_kind.guess_kind(where), path=where)
            if is_local
            else pull.repository_of(ref)[1]
        )
    return _status(ref, entry, lockfile.read(path))


def verifiable(path: Path | None = None) -> list[str]:
    """Return the names of models that are pinned or cached."""
    return [
        found.name
        for found in list_all(path)
        if found.entry.repository and (found.pinned or found.where == "cached")
    ]


def verify(
    ref: str,
    path: Path | None = None,
    *,
    progress: Callable[[int, int], None] = lambda count, total: None,
) -> Verified:
    """Hash a model's files again and compare them with the pinned hashes.

    Files of a model that is not pinned are compared with the hashes by which the cache names them.

    `progress` is called with (bytes since the last call, bytes in total).
    """
    status = look_up(ref, path)
    repository = status.entry.repository
    if repository is None:
        raise UnknownCheckpointError(f"{ref} is {status.where}: there are no hashes to compare")
    if status.pinned:
        pin, by = Pin(status.commit or "", dict(status.files)), "pinned"
    elif status.folder:
        pin, by = _pin_from_cache(status), "the cache names them"
    else:
        raise UnknownCheckpointError(
            f"{ref} is neither pinned nor in the cache; visuals checkpoints pull {ref}"
        )
    total = pin.size
    bad = hub_cache.damaged_files(
        repository, pin, rehash=True, report=lambda count: progress(count, total)
    )
    return Verified(ref, len(pin.files), tuple(bad), by)


def _status(name: str, entry: Entry, pins: dict[str, Pin]) -> Status:
    if entry.repository is None:
        try:
            place = Path(resolve(name))
        except UnknownCheckpointError:
            return Status(name, entry, "missing")
        return Status(name, entry, "embedded" if entry.folder else "local", place, _size(place))
    pin = pins.get(entry.repository)
    pin = pull.files_of_entry(pin, entry) if pin else None
    if pin is None or not pin.files:
        return _unpinned_status(name, entry, entry.repository)
    paths = {n: hub_cache.cached_file(entry.repository, pin.commit, n) for n in pin.files}
    sizes = {n: found.stat().st_size for n, found in paths.items() if found}
    lacking = tuple(n for n, file in pin.files.items() if sizes.get(n) != file.size)
    size = sum(sizes[n] for n in pin.files if n not in lacking)
    where = "cached" if not lacking else "partial" if size else "missing"
    folder = hub_cache.snapshot_folder(entry.repository, pin) if where != "missing" else None
    files = tuple(sorted(pin.files.items()))
    return Status(name, entry, where, folder, size, pin.commit, True, lacking, files)


def _unpinned_status(name: str, entry: Entry, repository: str) -> Status:
    """Return the status by what other programs, or an earlier load, left in the cache."""
    revision = hub_download.cached_weights(repository, entry.files)
    if revision is None:
        return Status(name, entry, "missing")
    folder, size = revision.snapshot_path, revision.size_on_disk
    return Status(name, entry, "cached", folder, size, revision.commit_hash)


def _pin_from_cache(status: Status) -> Pin:
    """Build a pin from the cache's names of file contents: SHA-256 or git's SHA-1."""
    revision = hub_download.cached_weights(
        str(status.entry.repository), status.entry.files, status.commit
    )
    assert revision is not None
    files = {}
    for name, blob in sorted(hub_cache.file_names(revision).items()):
        if _HASH.fullmatch(blob.name):
            hashes = (blob.name, None) if len(blob.name) == 64 else (None, blob.name)
            files[name] = PinnedFile(blob.stat().st_size, *hashes)
    return Pin(revision.commit_hash, files)


def _size(place: Path) -> int:
    if place.is_file():
        return place.stat().st_size
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
