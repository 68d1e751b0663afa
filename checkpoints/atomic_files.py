"""Atomic file writes: a reader sees the old or the new content, never a part."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".visuals.part"
"""Ending of temporary files, which no other program uses."""
_UNFINISHED: set[str] = set()


def write(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `path`, sync it and rename it to `path`."""
    with beside(path) as name, open(name, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def beside(path: Path) -> Iterator[str]:
    """Yield the name of a temporary file that becomes `path`, or is deleted after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name may fill the 255 bytes that file systems allow, so only its start is repeated.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:16]}.", suffix=SUFFIX)
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
    """Delete the temporary files of this process, for one that ends while writing."""
    for name in list(_UNFINISHED):
        with contextlib.suppress(OSError):
            os.unlink(name)
