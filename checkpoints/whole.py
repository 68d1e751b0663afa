"""Files that are whole at every moment, whoever is stopped while writing them. Knows no formats."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Write beside, sync, rename: `path` holds all of `data` or what it held before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name may fill the 255 bytes that file systems allow: no more than its start is repeated.
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:16]}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
