"""Where the files of the hub lie on this machine, and whether they are what they should be.

The ordinary cache of Hugging Face (HF_HOME): blobs by their hash, a folder of links for each
commit. Knows no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from .. import atomic_files
from ..user_dirs import cache_folder
from .lockfile import Pin, PinnedFile

Tick = Callable[[int], None]
"""Called with the bytes read or fetched since the last call."""


def root() -> Path:
    """The folder of the cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def repository_folder(repository: str) -> Path:
    """A repository's folder in the cache."""
    return root() / ("models--" + repository.replace("/", "--"))


def snapshot(repository: str, commit: str) -> Path:
    """The folder that holds a repository's files at a commit, under their own names."""
    return repository_folder(repository) / "snapshots" / commit


def blob(repository: str, file: PinnedFile) -> Path:
    """Where the content of a file lies, once, for all commits that hold it."""
    return repository_folder(repository) / "blobs" / file.etag


def head(repository: str) -> str | None:
    """The commit that main was when it was last fetched, by whichever program."""
    file = repository_folder(repository) / "refs" / "main"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


def set_head(repository: str, commit: str) -> None:
    """Note main's commit, as every program that reads this cache expects it."""
    if head(repository) != commit:
        atomic_files.write(repository_folder(repository) / "refs" / "main", commit.encode())


def link(repository: str, commit: str, name: str, file: PinnedFile) -> Path:
    """Put a blob under its own name in the commit's folder: a link, a copy where links fail."""
    source, place = blob(repository, file), snapshot(repository, commit) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        place.symlink_to(os.path.relpath(source, place.parent))
    except OSError:  # Windows without developer mode, some network drives
        shutil.copyfile(source, place)
    return place


def hash_of(path: Path, like: PinnedFile, tick: Tick = lambda n: None) -> str:
    """The hash of a file, of the kind that `like` has, read anew."""
    digest = hashlib.sha256() if like.sha256 else hashlib.sha1(usedforsecurity=False)
    if not like.sha256:  # git's name of a blob
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as stream:
        while chunk := stream.read(4 << 20):
            digest.update(chunk)
            tick(len(chunk))
    return digest.hexdigest()


def is_as_pinned(
    path: Path, file: PinnedFile, *, anew: bool = False, tick: Tick = lambda n: None
) -> bool:
    """Whether a file has the pinned size and hash. The hash is read once for each state of a file
    (size, time of change) and remembered; `anew` reads it in any case."""
    try:
        real = path.resolve(strict=True)
        state = real.stat()
    except OSError:
        return False
    if state.st_size != file.size:
        return False
    key, now = str(real), [state.st_size, state.st_mtime_ns]
    known = {} if anew else _remembered().get(key, {})
    if known.get("state") == now and known.get("hash") == file.etag:
        return True
    good = hash_of(real, file, tick) == file.etag
    if good:
        note(real, file)
    else:
        _remember(key, None)
    return good


def note(path: Path, file: PinnedFile) -> None:
    """Remember that a file, as it is now, has the pinned hash."""
    real = path.resolve()
    state = real.stat()
    _remember(str(real), {"state": [state.st_size, state.st_mtime_ns], "hash": file.etag})


def lacking(
    repository: str, pin: Pin, *, anew: bool = False, tick: Tick = lambda n: None
) -> list[str]:
    """The files of a pin that are not here, or are not what they should be."""
    folder = snapshot(repository, pin.commit)
    return [
        name
        for name, file in pin.files.items()
        if not is_as_pinned(folder / name, file, anew=anew, tick=tick)
    ]


def discard(path: Path) -> None:
    """Delete a file of the cache, and what it links to within the cache."""
    real = path.resolve()
    path.unlink(missing_ok=True)
    if real.is_relative_to(root().resolve()):
        real.unlink(missing_ok=True)
        _remember(str(real), None)


def delete(repository: str) -> int:
    """Delete all that the cache holds of a repository; the bytes that this freed."""
    folder = repository_folder(repository)
    freed = sum(f.lstat().st_size for f in folder.rglob("*") if not f.is_dir())
    if folder.is_dir():
        shutil.rmtree(folder)
    return freed


def _memory() -> Path:
    return cache_folder() / "hashes.json"


def _remembered() -> dict[str, dict[str, object]]:
    try:
        values = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _remember(key: str, value: dict[str, object] | None) -> None:
    values = _remembered()
    if value is None and key not in values:
        return
    values.pop(key, None)
    if value is not None:
        values[key] = value
    try:
        atomic_files.write(_memory(), json.dumps(values).encode())
    except OSError:  # a home that cannot be written: the hash is read again next time
        pass
