"""Files that are whole at every moment, whoever is stopped while writing them. Knows no formats."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_UNFINISHED: set[str] = set()


def write(path: Path, data: bytes) -> None:
    """Write beside, sync, rename: `path` holds all of `data` or what it held before."""
    with beside(path) as name, open(name, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def beside(path: Path) -> Iterator[str]:
    """A file's name to write to, which becomes `path` at the end, or is gone where that raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name may fill the 255 bytes that file systems allow: no more than its start is repeated.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:16]}.", suffix=".part")
    _UNFINISHED.add(name)
    os.close(handle)
    try:
        yield name
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        _UNFINISHED.discard(name)


def drop_unfinished() -> None:
    """Remove what this process is writing just now; for one that ends in the middle of it."""
    for name in list(_UNFINISHED):
        with contextlib.suppress(OSError):
            os.unlink(name)
