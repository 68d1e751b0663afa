"""The re-renders of a search: the latest result of each photo, however it was made since.

The search's folder lists the runs that were made of it, so that results outlive page and server.
"""

from __future__ import annotations

import functools
import threading
from pathlib import Path

from ....runs import run_yaml
from ....runs.manifest import NAME, ManifestRecord, last_records
from ...files import run_folders
from ...files.run_folders import RunNotFoundError, RunSummary

LIST = ".renders"
_LOCK = threading.Lock()


def add(found: Path, run_id: str) -> None:
    """Note that a run re-renders photos of the search in the folder `found`."""
    with _LOCK, (found / LIST).open("a", encoding="utf-8") as file:
        file.write(f"{run_id}\n")


def latest(found: Path, root: Path) -> dict[str, tuple[RunSummary, ManifestRecord]]:
    """Return run and record of the latest result of each photo, by the photo's id."""
    try:
        ids = (found / LIST).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    out: dict[str, tuple[RunSummary, ManifestRecord]] = {}
    for id_ in ids:
        try:
            folder = run_folders.folder(root, id_)
            stat = (folder / NAME).stat()
        except (RunNotFoundError, OSError):  # not begun yet, or deleted since
            continue
        records = _records(folder, stat.st_mtime_ns, stat.st_size)
        run = RunSummary(folder, records)
        out |= {record.id: (run, record) for record in records if record.files.result}
    return out


def seed(run: RunSummary) -> int:
    """Return the seed of a re-render, from which each of its photos has its own."""
    return int(run_yaml.read(run.folder)["settings"]["run"]["seed"])


@functools.lru_cache(64)
def _records(folder: Path, _mtime_ns: int, _size: int) -> tuple[ManifestRecord, ...]:
    return tuple(last_records(folder))
