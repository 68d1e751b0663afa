"""What an export wrote into a run folder, so that the next one replaces that and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from ...checkpoints import atomic_files
from ...configs.errors import AnnotationError


def remember(place: Path) -> None:
    """Write size and time of each file of an export beside it."""
    written = {name: _stamp(path) for name, path in _files(place)}
    atomic_files.write(_record(place), json.dumps(written).encode())


def check(place: Path, part: Path | None = None) -> None:
    """Check that a file or folder holds what an export wrote, unchanged.

    Args:
        place: the file or folder.
        part: what is to replace it; where the earlier export left no record, all that it lacks
            counts as the user's.

    Raises:
        AnnotationError: a file was added or changed.
    """
    known = _known(place)
    for name, path in _files(place):
        if known is not None:
            same = known.get(name) == _stamp(path)
        else:
            same = part is None or os.path.lexists(part / name)
        if not same:
            raise AnnotationError(
                f"{path} was not written by an earlier export, or has changed since: expected "
                "nothing of yours where the export goes; move it away, or set --out to a new folder"
            )


def _record(place: Path) -> Path:
    return place.with_name(f".{place.name}.written.json")


def _known(place: Path) -> dict[str, list[int]] | None:
    try:
        known = json.loads(_record(place).read_bytes())
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) else None


def _files(place: Path) -> Iterator[tuple[str, Path]]:
    """Name, relative to the place, and path of each file in it, or of the file that it is."""
    if not place.is_dir():
        yield from [("", place)] if os.path.lexists(place) else []
        return
    for folder, _, names in os.walk(place):
        for name in names:
            path = Path(folder, name)
            yield path.relative_to(place).as_posix(), path


def _stamp(path: Path) -> list[int]:
    status = path.lstat()
    return [status.st_size, status.st_mtime_ns]
