"""Fetches models into the cache, pins them, verifies them; finds the folder that a load reads.

Joins the catalogue, the lock, the cache and the hub. Prints nothing.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..catalog.entry import Entry, shipped_entries
from ..catalog.names import catalogue, find, resolve
from . import cache as hub_cache
from . import download as hub_download
from . import lockfile
from .download import PullError
from .lockfile import Pin

SPARE = 64 << 20
"""Bytes of disk left free beside a download."""

Say = Callable[[str], None]
Progress = Callable[[int, int], None]
"""Called with (bytes since the last call, bytes in all)."""


@dataclass(frozen=True)
class Pulled:
    """What a pull has done. `folder`: the model's files under their names; `fetched`: bytes."""

    repository: str
    folder: Path
    pin: Pin
    fetched: int


def wanted(ref: str | os.PathLike[str]) -> tuple[str, Entry]:
    """The repository and the entry of a name or a repository id. Raises PullError for a folder or
    a file, UnknownCheckpoint for what is neither."""
    text = os.fspath(ref)
    entry = find(text)
    if entry and not entry.repository:
        where = f"is embedded in {Path(resolve(text))}" if entry.folder else f"is {entry.path}"
        raise PullError(f"{text} {where}: there is nothing to pull")
    repository = resolve(text)
    if entry is None and Path(repository).exists():
        raise PullError(f"{text} is on this machine: there is nothing to pull")
    if entry is None:  # by its id: as the catalogue has it, where one name has it
        of_it = [e for e in catalogue().values() if e.repository == repository]
        entry = of_it[0] if len(of_it) == 1 else Entry("model", repository=repository)
    return repository, entry


def part(pin: Pin, entry: Entry) -> Pin:
    """Those files of a pin that an entry wants: two names may share a repository."""
    if not entry.files:
        return pin
    files = {
        name: file
        for name, file in pin.files.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in entry.files)
    }
    return Pin(pin.commit, files)


def pull(
    ref: str | os.PathLike[str],
    *,
    path: Path | None = None,
    update: bool = False,
    variant: str | None = None,
    say: Say = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> Pulled:
    """Fetch a model at its pinned commit and verify it; the first pull pins it.

    `path`: the lock file; `update`: pin the commit that main is now; `variant`: over the
    catalogue's, "none" for the plain weights. Raises PullError, LockError, UnknownCheckpoint.
    """
    repository, entry = wanted(ref)
    path = path or lockfile.default_path()
    pins = lockfile.read(path)
    old = pins.get(repository)
    pin = part(old, entry) if old and not update and variant is None else None
    if pin is None or not pin.files:
        pin = _learn(repository, entry, old, update, variant)
        files = {**old.files, **pin.files} if old and old.commit == pin.commit else pin.files
        lockfile.write({**lockfile.read(path), repository: Pin(pin.commit, files)}, path)
        say(f"pinned {repository} at {pin.commit[:12]} in {path}")
    else:
        _say_if_moved(repository, pin, say)
    return _fetch(repository, pin, say, progress)


def place(ref: str | os.PathLike[str]) -> str:
    """What to load for a reference: of a pinned model the folder of its verified files, whatever
    of them is missing fetched first; else the folder, file or repository that it stands for.

    Raises UnknownCheckpoint, LockError, and PullError where a file has changed or is not to be had.
    """
    where = resolve(ref)
    if Path(where).exists():
        return where
    pin = lockfile.read().get(where)
    if pin is None:
        return where
    entry = find(ref)
    pin = part(pin, entry) if entry else pin
    if not pin.files:
        return where
    folder = hub_cache.snapshot(where, pin.commit)
    lacking = hub_cache.lacking(where, pin)
    changed = [name for name in lacking if (folder / name).exists()]
    if changed:
        raise PullError(
            f"{ref}: {changed[0]} is not as pinned, it has changed since it was pulled, and is "
            f"not loaded; fetch it anew: visuals checkpoints pull {ref}"
        )
    if lacking:
        _fetch(where, pin)
    return str(folder)


def variant_of(path: str | os.PathLike[str]) -> str | None:
    """'fp16' for a folder that holds a part of its weights as *.fp16.safetensors only."""
    folder = Path(path)
    if not folder.is_dir():
        return None
    for file in folder.rglob("*.fp16.safetensors"):
        if not file.with_name(file.name.replace(".fp16.", ".")).exists():
            return "fp16"
    return None


def identity(ref: str | os.PathLike[str]) -> str:
    """A repository with the commit that it is pinned to, 'owner/name@commit'."""
    repository = resolve(ref)
    pin = lockfile.read().get(repository)
    return f"{repository}@{pin.commit}" if pin else repository


def names_of(repository: str) -> list[str]:
    """The catalogue's names for a repository."""
    return [name for name, entry in shipped_entries().items() if entry.repository == repository]


def _learn(
    repository: str, entry: Entry, old: Pin | None, update: bool, variant: str | None
) -> Pin:
    """What the hub has, as the entry wants it; at the old commit, but for an update."""
    commit = old.commit if old and not update else None
    found = hub_download.listing(repository, commit)
    if commit is None:
        hub_cache.set_head(repository, found.commit)
    chosen = None if variant == "none" else variant or entry.variant
    try:
        pin = hub_download.select(found, entry.files, chosen)
    except ValueError as error:
        raise PullError(f"{repository} {error}") from None
    if chosen and variant and not any(f".{variant}" in name for name in pin.files):
        raise PullError(f"{repository} has no weights of variant {variant!r}; leave --variant out")
    return pin


def _say_if_moved(repository: str, pin: Pin, say: Say) -> None:
    """A remark where main has moved on; none where the hub cannot be asked."""
    from huggingface_hub import HfApi

    try:
        now = HfApi().model_info(repository, timeout=5).sha
    except Exception:  # a remark only: the pinned files say themselves what is wrong
        return
    if now and now != pin.commit:
        say(
            f"{repository} has moved on to {now[:12]}; the pinned {pin.commit[:12]} is taken "
            "(--update pins the new one)"
        )


def _fetch(
    repository: str,
    pin: Pin,
    say: Say = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> Pulled:
    """Fetch and verify what is missing of a pin. Raises PullError."""
    missing = hub_cache.lacking(repository, pin)
    todo = sum(_rest(repository, pin, name) for name in missing)
    _room(repository, todo, say)
    total = sum(pin.files[name].size for name in missing)
    for name in _settings_first(missing):
        hub_cache.discard(hub_cache.snapshot(repository, pin.commit) / name)
        hub_download.fetch(
            repository, pin.commit, name, pin.files[name], lambda n: progress(n, total)
        )
    return Pulled(repository, hub_cache.snapshot(repository, pin.commit), pin, todo)


def _settings_first(names: Sequence[str]) -> list[str]:
    """Small files first: what is refused is refused before a large download."""
    return sorted(names, key=lambda name: name.endswith(".safetensors"))


def _rest(repository: str, pin: Pin, name: str) -> int:
    """The bytes of a file that are still to be fetched."""
    file = pin.files[name]
    if hub_cache.is_as_pinned(hub_cache.blob(repository, file), file):
        return 0
    begun = hub_download.partial(repository, file)
    return max(0, file.size - (begun.stat().st_size if begun.is_file() else 0))


def _room(repository: str, todo: int, say: Say) -> None:
    """Raises PullError where the disk has no room for so many bytes."""
    if not todo:
        return
    folder = hub_cache.root()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < todo + SPARE:
        raise PullError(
            f"{repository}: {gib(todo)} to fetch, but {folder} has {gib(free)} free; free some "
            "space, or set HF_HOME to another disk"
        )
    say(f"{repository}: {gib(todo)} to fetch into {folder} ({gib(free)} free)")


def gib(size: int) -> str:
    """Bytes for a reader.

    >>> gib(1536 << 20), gib(300), gib(5 << 20)
    ('1.50 GiB', '300 B', '5.0 MiB')
    """
    for unit, bytes_of_it, digits in (
        ("GiB", 1 << 30, 2),
        ("MiB", 1 << 20, 1),
        ("KiB", 1 << 10, 0),
    ):
        if size >= bytes_of_it:
            return f"{size / bytes_of_it:.{digits}f} {unit}"
    return f"{size} B"
