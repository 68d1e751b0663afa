"""Disk space of the studio: room for uploads, and an end to those that nobody uses any more."""

from __future__ import annotations

import contextlib
import errno
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ....configs.errors import UsageError

KEPT_DAYS = 14
"""Days that uploads, searches and small pictures are kept after they were last used."""
RESERVE = 256 << 20
"""Bytes that an upload leaves free, for the pictures that are made of it."""
DELETED = ".deleted-"
"""Beginning of the name of a run that is being deleted."""


class DiskFullError(UsageError):
    """There is no room for an upload."""


@contextlib.contextmanager
def full_disk_is_refused() -> Iterator[None]:
    """Raise DiskFullError in place of the system's errors for a full disk or quota."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            "the disk is full: delete runs that are not needed, or send less"
        ) from None


def check_space(folder: Path, size: int) -> None:
    """Raise DiskFullError where `size` bytes more would leave less than RESERVE free."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free - size < RESERVE:
        raise DiskFullError(
            f"the disk is full: {free >> 20} MB are free, expected {size + RESERVE >> 20} MB; "
            "delete runs that are not needed, or send less"
        )


def remove_unused(root: Path, days: float) -> int:
    """Delete what lies below `.studio` and was not used for so many days; return how many MB.

    These are uploads, searches and what was chosen of them, captions' jobs, small pictures and
    Gradio's copies, never runs. A folder was used when a file in it was last read or written. Links
    are not followed.
    """
    before, freed = time.time() - days * 86_400, 0
    for path in _temporary(root):
        with contextlib.suppress(OSError):  # another server's, or gone
            used, size = _use(path)
            if used < before:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                freed += size
    for path in root.glob(f"{DELETED}*"):
        shutil.rmtree(path, ignore_errors=True)
    return freed >> 20


def _temporary(root: Path) -> Iterator[Path]:
    """Yield the folders and files that are removed as a whole."""
    studio = root / ".studio"
    for name in ("cache", "uploads", "found", "chosen", "thumbnails"):
        if (studio / name).is_dir() and not (studio / name).is_symlink():
            yield from (path for path in (studio / name).iterdir() if not path.is_symlink())
    yield from (path for path in studio.glob("captions-*") if not path.is_symlink())


def _use(path: Path) -> tuple[float, int]:
    """Return when a file, or the one used last in a folder, was used; and bytes in all."""
    found = [path.lstat()]
    if path.is_dir():
        found += [file.lstat() for file in path.rglob("*") if not file.is_dir()]
    files = found[1:] or found
    used = max(max(one.st_mtime, one.st_atime) for one in files)
    return max(used, found[0].st_mtime), sum(one.st_size for one in files)
