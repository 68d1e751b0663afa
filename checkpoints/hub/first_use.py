"""Finds the files that a load needs, and downloads what is missing of them.

They are those of the pinned commit, else those of the hub's current one; only a pull pins. Where
the hub cannot be reached, what an earlier load left in the cache is used. Prints nothing but the
progress bars of huggingface_hub.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..catalog.names import resolve
from . import cache as hub_cache
from . import download as hub_download
from . import lockfile, pull
from .errors import PullError, is_network_error
from .lockfile import Pin, PinnedFile


@dataclass(frozen=True)
class Needed:
    """A model that will be loaded.

    Args:
        ref: A name, folder, file or repository.
        files: Shell patterns of the files to load of a repository; empty for those of its
            catalogue entry.
    """

    ref: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Download:
    """Files of a repository that are missing. `size`: bytes to fetch."""

    repository: str
    files: Pin
    size: int


def ensure_local(ref: str | os.PathLike[str], files: tuple[str, ...] = ()) -> str:
    """Return the folder or file to load for a reference; download what is missing of it.

    `files` is that of `Needed`.

    Raises:
        PullError: A file has changed since it was pulled, or cannot be downloaded.
        LockError: The lock file cannot be read.
        UnknownCheckpointError: The reference names nothing.
    """
    where = resolve(ref)
    if Path(where).exists():
        return where
    found = _find(ref, files)
    if isinstance(found, Path):
        return str(found)
    lock = lockfile.read().get(where)
    pinned = {n: file for n, file in found.files.items() if lock and n in lock.files}
    damaged = hub_cache.damaged_files(where, Pin(found.commit, pinned))
    for name in damaged:
        if hub_cache.cached_file(where, found.commit, name):
            raise PullError(
                f"{ref}: {name} is not as pinned: it has changed since it was pulled, and is "
                f"not loaded; download it again: visuals checkpoints pull {ref}"
            )
    # What is not pinned was verified when it was downloaded; here its size is enough.
    others = [n for n in found.files if n not in pinned and not _is_cached(where, found, n)]
    if lacking := [*damaged, *others]:
        pull.require_space(where, pull.bytes_to_fetch(where, found, lacking))
        hub_download.download(where, found, lacking)
    folder = hub_cache.snapshot_folder(where, found)
    assert folder is not None
    return str(folder)


def local_or_repository(ref: str | os.PathLike[str]) -> str:
    """Return what `ensure_local` does for a model that is local, pinned or cached, else the
    repository: for a few small files, which the libraries fetch themselves."""
    where = resolve(ref)
    if Path(where).exists() or where in lockfile.read():
        return ensure_local(ref)
    cached = hub_download.cached_weights(where)
    return str(cached.snapshot_path) if cached else where


def missing(needed: Iterable[Needed]) -> list[Download]:
    """Return what loading these models would download, by repository.

    Raises:
        PullError: A model is neither cached nor to be had from the hub.
        LockError: The lock file cannot be read.
        UnknownCheckpointError: A reference names nothing.
    """
    lacking: dict[tuple[str, str], dict[str, PinnedFile]] = {}
    for model in dict.fromkeys(needed):
        where = resolve(model.ref)
        found = None if Path(where).exists() else _find(model.ref, model.files)
        if not isinstance(found, Pin):
            continue
        for name, file in found.files.items():
            if hub_cache.cached_file(where, found.commit, name) is None:
                lacking.setdefault((where, found.commit), {})[name] = file
    downloads = []
    for (repository, commit), files in lacking.items():
        pin = Pin(commit, files)
        if size := pull.bytes_to_fetch(repository, pin, files):
            downloads.append(Download(repository, pin, size))
    return downloads


def fetch(downloads: Iterable[Download]) -> None:
    """Download and verify. Raises PullError."""
    for todo in downloads:
        hub_download.download(todo.repository, todo.files, todo.files.files)


_list_files = functools.cache(hub_download.list_files)
"""A process lists a repository once, so that all its loads of it are of one commit."""
_PAUSE = 60.0
"""Seconds after a failed connection in which cached models are loaded without asking the hub."""
_paused_until = 0.0


def forget_listings() -> None:
    """List repositories anew, as in another process."""
    global _paused_until
    _list_files.cache_clear()
    _paused_until = 0.0


def _find(ref: str | os.PathLike[str], files: tuple[str, ...]) -> Pin | Path:
    """Return the files of a repository to load, or the cached folder where the hub is away."""
    repository, entry = pull.repository_of(ref)
    entry = replace(entry, files=files) if files else entry
    pinned = lockfile.read().get(repository)
    if pinned:
        pin = pull.files_of_entry(pinned, entry)
        if pin.files and all(_any_matches(pin, pattern) for pattern in files):
            return pin
    global _paused_until
    commit = pinned.commit if pinned else None
    in_cache = functools.partial(hub_download.cached_weights, repository, entry.files, commit)
    if time.monotonic() < _paused_until and (cached := in_cache()):
        return cached.snapshot_path
    try:
        listed = _list_files(repository, commit or entry.revision)
    except PullError as error:
        if error.__cause__ and is_network_error(error.__cause__):
            _paused_until = time.monotonic() + _PAUSE
        cached = in_cache()
        if cached is None:
            raise
        return cached.snapshot_path
    plain = pull.select(repository, listed, entry.files, None)
    if entry.variant and all(_is_cached(repository, plain, name) for name in plain.files):
        return plain
    pin = pull.select(repository, listed, entry.files, entry.variant)
    for name in files:
        if "*" not in name and name not in pin.files:
            raise PullError(f"{repository} has no file {name!r}: check its name")
    return pin


def _any_matches(pin: Pin, pattern: str) -> bool:
    return any(hub_download.matches(name, [pattern]) for name in pin.files)


def _is_cached(repository: str, pin: Pin, name: str) -> bool:
    path = hub_cache.cached_file(repository, pin.commit, name)
    return path is not None and path.stat().st_size == pin.files[name].size
