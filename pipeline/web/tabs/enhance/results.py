"""The re-renders of a search: the latest results of each photo, one an edit.

The search's folder lists the runs that were made of it, so that results outlive page and server.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from pathlib import Path

from ....inputs.lazy_shots import variant_id
from ....runs import run_yaml
from ....runs.manifest import NAME, ManifestRecord, last_records
from ...files import run_folders, run_overview
from ...files.run_folders import RunNotFoundError, RunSummary

Result = tuple[RunSummary, ManifestRecord]
"""A run, and its record of a photo in one edit."""
LIST = ".renders"
_LOCK = threading.Lock()


def add(found: Path, run_id: str) -> None:
    """Note that a run re-renders photos of the search in the folder `found`."""
    with _LOCK, (found / LIST).open("a", encoding="utf-8") as file:
        file.write(f"{run_id}\n")


def latest(found: Path, root: Path, photos: Iterable[str]) -> dict[str, list[Result]]:
    """Return the latest results of each photo, those of one run, by the photo's id."""
    try:
        ids = (found / LIST).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    photos = list(photos)
    out: dict[str, list[Result]] = {}
    for id_ in ids:
        try:
            folder = run_folders.folder(root, id_)
            stat = (folder / NAME).stat()
        except (RunNotFoundError, OSError):  # not begun yet, or deleted since
            continue
        run = RunSummary(folder, _records(folder, stat.st_mtime_ns, stat.st_size))
        edits = run_overview.edits_of(run_yaml.read(folder).get("request") or {})
        origins = {variant_id(photo, edit): photo for photo in photos for edit in edits}
        made: dict[str, list[Result]] = {}
        for record in run.records:
            if record.files.result:
                made.setdefault(origins.get(record.id, record.id), []).append((run, record))
        out |= made
    return out


def seed(run: RunSummary) -> int:
    """Return the seed of a re-render, from which each of its photos has its own."""
    return int(run_yaml.read(run.folder)["settings"]["run"]["seed"])


@functools.lru_cache(64)
def _records(folder: Path, _mtime_ns: int, _size: int) -> tuple[ManifestRecord, ...]:
    return tuple(last_records(folder))
