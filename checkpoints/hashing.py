"""Hashes of whole files, read in pieces so that large weights fit into memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

ReportBytes = Callable[[int], None]
"""Called with the number of bytes read since the last call."""
_PIECE = 4 << 20


def sha256(
    path: str | os.PathLike[str], *, start: int = 0, report: ReportBytes = lambda count: None
) -> str:
    """Return the SHA-256 of a file from byte `start` on, as 64 hex digits."""
    return _hash(Path(path), hashlib.sha256(), start, report)


def git_blob_sha1(path: str | os.PathLike[str], *, report: ReportBytes = lambda count: None) -> str:
    """Return git's name of a file's content, 40 hex digits; the hub lists small files by it."""
    path = Path(path)
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    return _hash(path, digest, 0, report)


def _hash(path: Path, digest: Any, start: int, report: ReportBytes) -> str:
    with path.open("rb") as stream:
        stream.seek(start)
        while piece := stream.read(_PIECE):
            digest.update(piece)
            report(len(piece))
    return str(digest.hexdigest())
