"""Run folders below the studio's folder: listed, read, packed, deleted; none outside is touched."""

from __future__ import annotations

import contextlib
import re
import shutil
import uuid
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....configs.errors import UsageError
from ...runs import run_yaml
from ...runs.inside_path import OutsideError, inside
from ...runs.lock import RunLock
from ...runs.manifest import NAME, ManifestRecord, last_records
from . import thumbnails
from .disk_space import DELETED

_ID = re.compile(r"[^./\\\0][^/\\\0]{0,254}")
TEXT = (".jsonl", ".json", ".yaml")
"""Files that are compressed in a zip."""
OUTCOMES = ("enhanced", "kept", "skipped", "failed")


class RunNotFoundError(UsageError):
    """There is no such run, or no such file in it."""


@dataclass(frozen=True)
class RunSummary:
    """A run folder with the last record of each shot."""

    folder: Path
    records: Sequence[ManifestRecord]

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def counts(self) -> Counter[str]:
        """Shots by outcome."""
        return Counter(record.status for record in self.records)

    @property
    def classes(self) -> list[str]:
        """Every class that was looked for or found, by name."""
        return sorted({name for record in self.records for name in _classes(record)})

    def chosen(self, outcome: str = "all", label: str = "all") -> list[ManifestRecord]:
        """Return the records of one outcome and of one class, "all" for any, by outcome."""
        found = [
            record
            for record in self.records
            if outcome in ("all", record.status) and label in ("all", *_classes(record))
        ]
        return sorted(found, key=lambda record: OUTCOMES.index(record.status))

    def picture(self, record: ManifestRecord) -> Path | None:
        """Return the result of a shot, else its source; None where neither is there."""
        name = record.files.picture
        try:
            path = inside(self.folder, name) if name else Path(record.input or "")
        except OutsideError:
            return None
        return path if path.is_file() else None

    def shown_picture(self, record: ManifestRecord) -> Path | None:
        """Return the picture of a shot where it lies below the studio's folder, links followed."""
        path, root = self.picture(record), self.folder.parent.resolve()
        return path if path and path.resolve().is_relative_to(root) else None


def _classes(record: ManifestRecord) -> list[str]:
    return [*record.classes, *record.labels]


def ids(root: Path) -> list[str]:
    """Return the names of the runs below `root`, newest first, by when a picture was finished.

    Grids, trainings and whatever else has no run.yaml are left out.
    """
    found: list[tuple[float, str]] = []
    for path in root.iterdir() if root.is_dir() else ():
        if not path.name.startswith(".") and _is_run(path):
            found.append((changed(path), path.name))
    return [name for _, name in sorted(found, reverse=True)]


def changed(folder: Path) -> float:
    """Return when a picture of a run was last finished, else when it began; seconds."""
    for name in (NAME, run_yaml.NAME):
        with contextlib.suppress(OSError):
            return (folder / name).stat().st_mtime
    return 0.0


def folder(root: Path, id_: str) -> Path:
    """Return the folder of a run; raises RunNotFoundError, also for a path or a link."""
    path = root / id_
    if not _ID.fullmatch(id_) or not _is_run(path):
        raise RunNotFoundError(f"no run {id_!r} here")
    return path


def _is_run(folder: Path) -> bool:
    try:
        return (folder / run_yaml.NAME).is_file() and not folder.is_symlink()
    except ValueError:  # a name that the system cannot encode
        return False


def read(root: Path, id_: str) -> RunSummary:
    """Return a run with its records; raises RunNotFoundError, RunFolderError."""
    path = folder(root, id_)
    return RunSummary(path, last_records(path))


def file(root: Path, id_: str, name: str) -> Path:
    """Return a file of a run; raises RunNotFoundError for one outside, links followed."""
    base = folder(root, id_)
    try:
        path = (base / name).resolve()
        found = path.is_relative_to(base.resolve()) and path.is_file()
    except (OSError, ValueError):
        found = False
    if not found or any(part.startswith(".") for part in Path(name).parts):
        raise RunNotFoundError(f"no file {name!r} in run {id_!r}")
    return path


def delete(root: Path, id_: str) -> None:
    """Delete a run that visuals made, and the small pictures of it; links are not followed.

    Raises:
        RunNotFoundError: there is no such run.
        RunFolderError: its run.yaml is no record of a run, or a process writes to it.
    """
    path = folder(root, id_)
    run_yaml.read(path)
    with RunLock(path):
        gone = path.rename(root / f"{DELETED}{uuid.uuid4().hex}")
    shutil.rmtree(gone)
    shutil.rmtree(thumbnails.folder(root, id_), ignore_errors=True)


def pack(folder: Path, out: Path, *, annotated: bool = True) -> Path:
    """Write a zip of a run to `out`; with `annotated`, its COCO annotations are written first."""
    from ...exports.annotate import AnnotationError, annotate

    if annotated:
        with contextlib.suppress(AnnotationError):  # nothing was kept
            annotate(folder, ("coco", "metadata"), polygons=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            hidden = any(part.startswith(".") for part in name.parts)
            if path.is_file() and not path.is_symlink() and not hidden:
                kind = zipfile.ZIP_DEFLATED if path.suffix in TEXT else zipfile.ZIP_STORED
                archive.write(path, f"{folder.name}/{name}", kind)
    return out
