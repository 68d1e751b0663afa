"""Looks into the Hugging Face cache: which files of a pin are there, and whether they are intact.

huggingface_hub writes the cache and knows its layout; this module only reads it, deletes damaged
files and whole repositories, and remembers which files it has hashed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .. import atomic_files, hashing
from ..hashing import ReportBytes
from ..user_dirs import cache_folder
from .lockfile import Pin, PinnedFile

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo, CachedRevisionInfo


def root() -> Path:
    """Return the folder of the Hugging Face cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def bytes_on_disk(repository: str) -> int:
    """Return the bytes that are cached of a repository, those of unfinished downloads too."""
    folder = root() / f"models--{repository.replace('/', '--')}" / "blobs"
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def cached_file(repository: str, commit: str, name: str) -> Path | None:
    """Return the path of a repository's file at a commit; None where it is not cached."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name, cache_dir=root(), revision=commit)
    return Path(found) if isinstance(found, str) else None


def newest_file(repository: str, name: str) -> Path | None:
    """Return the path of a file at the commit that was cached last; None where it is not cached."""
    snapshots = root() / f"models--{repository.replace('/', '--')}" / "snapshots"
    found = [path for path in snapshots.glob(f"*/{name}") if path.is_file()]
    return max(found, key=lambda path: path.parent.stat().st_mtime, default=None)


def snapshot_folder(repository: str, pin: Pin) -> Path | None:
    """Return the folder that holds the files of a pin; None where none of them is cached."""
    for name in pin.files:
        if found := cached_file(repository, pin.commit, name):
            return found.parents[name.count("/")]
    return None


def revisions(repository: str) -> list[CachedRevisionInfo]:
    """Return the cached revisions: that of main first, then from the newest to the oldest."""
    cached = _repository(repository)
    order = sorted(
        cached.revisions if cached else (),
        key=lambda found: ("main" in found.refs, found.last_modified),
    )
    return order[::-1]


def file_names(revision: CachedRevisionInfo) -> dict[str, Path]:
    """Return the content of each file of a cached revision by its path in the repository."""
    names = ((file.file_path.relative_to(revision.snapshot_path), file) for file in revision.files)
    return {name.as_posix(): file.blob_path for name, file in names}


def cached_hashes(repository: str) -> set[str]:
    """Return the hashes of all cached files of a repository, of whichever commit."""
    cached = _repository(repository)
    revisions = cached.revisions if cached else ()
    return {file.blob_path.name for revision in revisions for file in revision.files}


def delete(repository: str) -> int:
    """Delete a repository from the cache and return the freed bytes."""
    from huggingface_hub import scan_cache_dir

    cached = _repository(repository)
    if cached is None:
        return 0
    commits = (revision.commit_hash for revision in cached.revisions)
    plan = scan_cache_dir(root()).delete_revisions(*commits)
    plan.execute()
    return plan.expected_freed_size


def is_intact(
    path: Path | None,
    file: PinnedFile,
    *,
    rehash: bool = False,
    report: ReportBytes = lambda count: None,
) -> bool:
    """Return whether a file exists with its pinned size and hash.

    Args:
        path: The file; None for one that is not cached.
        file: Its pinned size and hash.
        rehash: Hash the file again even if it has not changed since it was last hashed (by size
            and modification time).
        report: Called with the number of bytes read since the last call.
    """
    if path is None:
        return False
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except OSError:
        return False
    if status.st_size != file.size:
        return False
    key, state = str(real), [status.st_size, status.st_mtime_ns]
    known = {} if rehash else _hashed_files().get(key, {})
    if known.get("state") == state and known.get("hash") == file.etag:
        return True
    compute = hashing.sha256 if file.sha256 else hashing.git_blob_sha1
    intact = compute(real, report=report) == file.etag
    _remember(key, {"state": state, "hash": file.etag} if intact else None)
    return intact


def damaged_files(
    repository: str,
    pin: Pin,
    *,
    rehash: bool = False,
    report: ReportBytes = lambda count: None,
) -> list[str]:
    """Return the names of a pin's files that are missing or not as pinned; see `is_intact`."""
    return [
        name
        for name, file in pin.files.items()
        if not is_intact(
            cached_file(repository, pin.commit, name), file, rehash=rehash, report=report
        )
    ]


def discard(path: Path) -> None:
    """Delete a cached file and the content that it links to."""
    real = path.resolve()
    path.unlink(missing_ok=True)
    if real.is_relative_to(root().resolve()):
        real.unlink(missing_ok=True)
        _remember(str(real), None)


def _repository(repository: str) -> CachedRepoInfo | None:
    from huggingface_hub import scan_cache_dir

    if not root().is_dir():
        return None
    repositories = scan_cache_dir(root()).repos
    return next((found for found in repositories if found.repo_id == repository), None)


def _memory() -> Path:
    return cache_folder() / "hashes.json"


def _hashed_files() -> dict[str, dict[str, object]]:
    try:
        values = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _remember(key: str, value: dict[str, object] | None) -> None:
    values = _hashed_files()
    if value is None and key not in values:
        return
    values.pop(key, None)
    if value is not None:
        values[key] = value
    try:
        atomic_files.write(_memory(), json.dumps(values).encode())
    except OSError:  # the home folder cannot be written: hash the file again next time
        pass
