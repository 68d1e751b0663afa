"""Downloads models and pins them in the lock file.

Joins the catalogue, the lock file, the cache and the hub. Prints nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..catalog.entry import Entry, shipped_entries
from ..catalog.names import catalogue, find, resolve
from . import cache as hub_cache
from . import download as hub_download
from . import lockfile
from .errors import PullError
from .lockfile import Pin

SPARE_BYTES = 64 << 20
"""Bytes of disk to leave free beside a download."""

Say = Callable[[str], None]
Progress = Callable[[int, int], None]
"""Called with (bytes since the last call, bytes in total)."""


@dataclass(frozen=True)
class Pulled:
    """Result of a pull. `folder`: the model's files by their names; `fetched`: bytes."""

    repository: str
    folder: Path
    pin: Pin
    fetched: int


def repository_of(ref: str | os.PathLike[str]) -> tuple[str, Entry]:
    """Return the repository and the catalogue entry of a name or a repository.

    Raises:
        PullError: The reference is a folder or file.
        UnknownCheckpointError: It is neither of them nor a repository.
    """
    text = os.fspath(ref)
    entry = find(text)
    if entry and not entry.repository:
        where = f"is embedded in {Path(resolve(text))}" if entry.folder else f"is {entry.path}"
        raise PullError(f"{text} {where}: there is nothing to pull")
    repository = resolve(text)
    if entry is None and Path(repository).exists():
        raise PullError(f"{text} is on this machine: there is nothing to pull")
    if entry is None:  # a repository: with its catalogue entry if it has exactly one
        entries = [e for e in catalogue().values() if e.repository == repository]
        entry = entries[0] if len(entries) == 1 else Entry("model", repository=repository)
    return repository, entry


def files_of_entry(pin: Pin, entry: Entry) -> Pin:
    """Return the files of a pin that an entry wants: two names may share a repository."""
    if not entry.files:
        return pin
    names = [name for name in pin.files if hub_download.matches(name, entry.files)]
    return Pin(pin.commit, {name: pin.files[name] for name in names})


def pull(
    ref: str | os.PathLike[str],
    *,
    path: Path | None = None,
    update: bool = False,
    variant: str | None = None,
    say: Say = lambda text: None,
    progress: Progress = lambda count, total: None,
) -> Pulled:
    """Download a model at its pinned commit and verify it; the first pull pins it.

    Args:
        ref: A name of the catalogue or a repository.
        path: The lock file; None for the default one.
        update: Pin the current commit of main.
        variant: Weights to use in place of the catalogue's, such as "fp16"; "none" for the plain
            ones.
        say: Called with messages for the user.
        progress: Called while the hashes of the downloaded files are computed.

    Raises:
        PullError: The download or the verification failed.
        LockError: The lock file cannot be read.
        UnknownCheckpointError: The reference names nothing.
    """
    repository, entry = repository_of(ref)
    path = path or lockfile.default_path()
    old = lockfile.read(path).get(repository)
    pin = files_of_entry(old, entry) if old and not update and variant is None else None
    if pin is None or not pin.files:
        pin, others = _learn(repository, entry, old, update, variant)
        pins = {**lockfile.read(path), repository: Pin(pin.commit, {**others, **pin.files})}
        lockfile.write(pins, path)
        say(f"pinned {repository} at {pin.commit[:12]} in {path}")
    else:
        _say_if_outdated(repository, entry, pin, say)
    return _download_missing(repository, pin, say, progress)


def variant_of(path: str | os.PathLike[str]) -> str | None:
    """Return "fp16" for a folder that holds some weights as *.fp16.safetensors only."""
    folder = Path(path)
    if not folder.is_dir():
        return None
    for file in folder.rglob("*.fp16.safetensors"):
        if not file.with_name(file.name.replace(".fp16.", ".")).exists():
            return "fp16"
    return None


def identity(ref: str | os.PathLike[str]) -> str:
    """Return the repository with its pinned commit, "owner/name@commit"."""
    repository = resolve(ref)
    pin = lockfile.read().get(repository)
    return f"{repository}@{pin.commit}" if pin else repository


def names_of(repository: str) -> list[str]:
    """Return the catalogue's names for a repository."""
    return [name for name, entry in shipped_entries().items() if entry.repository == repository]


def select(repository: str, listed: Pin, files: Sequence[str], variant: str | None) -> Pin:
    """Select the wanted files of a listing, see `select_files`. Raises PullError."""
    try:
        return hub_download.select_files(listed, files, variant)
    except ValueError as error:
        raise PullError(f"{repository} {error}") from None


def _learn(
    repository: str, entry: Entry, old: Pin | None, update: bool, variant: str | None
) -> tuple[Pin, dict[str, lockfile.PinnedFile]]:
    """Ask the hub for the files that the entry wants, at the old commit except for an update.

    Returns them, and the files at the same commit that other names of the repository pinned.
    """
    commit = old.commit if old and not update else entry.revision
    listed = hub_download.list_files(repository, commit)
    chosen = None if variant == "none" else variant or entry.variant
    pin = select(repository, listed, entry.files, chosen)
    if chosen and variant and not any(f".{variant}" in name for name in pin.files):
        raise PullError(f"{repository} has no weights of variant {variant!r}; omit --variant")
    if old is None:
        return pin, {}
    if listed.commit == old.commit:
        return pin, dict(old.files)
    superseded = files_of_entry(old, entry).files
    others = {n: listed.files[n] for n in old.files if n in listed.files and n not in superseded}
    return pin, others


def _say_if_outdated(repository: str, entry: Entry, pin: Pin, say: Say) -> None:
    """Mention that the hub has a newer commit; stay silent where it cannot be reached."""
    from huggingface_hub import HfApi

    try:
        now = HfApi().model_info(repository, revision=entry.revision, timeout=5).sha
    except Exception:  # only a remark: a download that fails raises its own error
        return
    if now and now != pin.commit:
        say(
            f"{repository} has moved on to {now[:12]}; the pinned {pin.commit[:12]} is used "
            "(--update pins the new one)"
        )


def _download_missing(
    repository: str,
    pin: Pin,
    say: Say = lambda text: None,
    progress: Progress = lambda count, total: None,
) -> Pulled:
    """Download and verify the files of a pin that are missing or damaged. Raises PullError."""
    missing = hub_cache.damaged_files(repository, pin)
    size = 0
    if missing:
        total = sum(pin.files[name].size for name in missing)
        size = bytes_to_fetch(repository, pin, missing)
        require_space(repository, size, say)
        hub_download.download(repository, pin, missing, report=lambda count: progress(count, total))
    folder = hub_cache.snapshot_folder(repository, pin)
    assert folder is not None
    return Pulled(repository, folder, pin, size)


def bytes_to_fetch(repository: str, pin: Pin, names: Collection[str]) -> int:
    """Return the size of files that are missing or damaged, less content cached by other names."""
    cached = hub_cache.cached_hashes(repository)
    return sum(
        pin.files[name].size
        for name in names
        if pin.files[name].etag not in cached or hub_cache.cached_file(repository, pin.commit, name)
    )


def require_space(what: str, size: int, say: Say = lambda text: None) -> None:
    """Raise PullError where the disk has no room for `size` bytes."""
    if not size:
        return
    folder = hub_cache.root()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size + SPARE_BYTES:
        raise PullError(
            f"{what}: {format_bytes(size)} to fetch, but {folder} has {format_bytes(free)} "
            "free; free some space, or set HF_HOME to another disk"
        )
    say(f"{what}: {format_bytes(size)} to fetch into {folder} ({format_bytes(free)} free)")


def format_bytes(size: int) -> str:
    """Format a number of bytes for a reader.

    >>> format_bytes(1536 << 20), format_bytes(300), format_bytes(5 << 20)
    ('1.50 GiB', '300 B', '5.0 MiB')
    """
    for unit, scale, digits in (("GiB", 1 << 30, 2), ("MiB", 1 << 20, 1), ("KiB", 1 << 10, 0)):
        if size >= scale:
            return f"{size / scale:.{digits}f} {unit}"
    return f"{size} B"
