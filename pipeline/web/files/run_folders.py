"""Run folders below the studio's folder: listed, read, packed; no file outside is served."""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....configs.errors import UsageError
from ...runs.inside_path import OutsideError, inside
from ...runs.manifest import NAME, ManifestRecord, last_records

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
        """Return the records of one outcome and of one class; "all" for any."""
        return [
            record
            for record in self.records
            if outcome in ("all", record.status) and label in ("all", *_classes(record))
        ]

    def picture(self, record: ManifestRecord) -> Path | None:
        """Return the result of a shot, else its source; None where neither is there."""
        name = record.files.picture
        try:
            path = inside(self.folder, name) if name else Path(record.input or "")
        except OutsideError:
            return None
        return path if path.is_file() else None


def _classes(record: ManifestRecord) -> list[str]:
    return [*record.classes, *record.labels]


def ids(root: Path) -> list[str]:
    """Return the names of the runs below `root`, newest first."""
    found = [p for p in root.iterdir() if not p.name.startswith(".")] if root.is_dir() else []
    found = [p for p in found if (p / NAME).is_file()]
    return [p.name for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]


def folder(root: Path, id_: str) -> Path:
    """Return the folder of a run; raises RunNotFoundError, also for an id that is a path."""
    path = root / id_
    if not _ID.fullmatch(id_) or not (path / "run.yaml").is_file():
        raise RunNotFoundError(f"no run {id_!r} here")
    return path


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
