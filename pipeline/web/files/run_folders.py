"""The run folders below the studio's folder: listed, read, their files confined, packed.

Knows files; no jobs, no pages.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....configs.errors import UsageError
from ...runs import folder as run_folder

_ID = re.compile(r"[^./\\\0][^/\\\0]{0,254}")
OUTCOMES = ("enhanced", "kept", "skipped", "failed")


class RunNotFoundError(UsageError):
    """A run or a file of it that is not there; the message says so."""


@dataclass(frozen=True)
class RunSummary:
    """A run folder with its manifest's lines, the last of each shot."""

    folder: Path
    lines: tuple[dict[str, Any], ...]

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def counts(self) -> Counter[str]:
        """Shots by outcome."""
        return Counter(line["status"] for line in self.lines)

    @property
    def classes(self) -> list[str]:
        """Every class asked for or found, by name."""
        asked = {name for line in self.lines for name in line["classes"]}
        return sorted(asked | {d["label"] for line in self.lines for d in line["detections"]})

    def chosen(self, outcome: str = "all", label: str = "all") -> list[dict[str, Any]]:
        """The lines of one outcome and of one class; "all" for any."""
        return [
            line
            for line in self.lines
            if outcome in ("all", line["status"])
            and (
                label == "all"
                or label in line["classes"]
                or label in [d["label"] for d in line["detections"]]
            )
        ]

    def shown(self, line: dict[str, Any]) -> Path | None:
        """The picture that stands for a shot: its result, else its source."""
        name = line["files"]["result"] or line["files"]["source"]
        path = self.folder / name if name else Path(line["input"] or "")
        return path if path.is_file() else None


def ids(root: Path) -> list[str]:
    """The runs below `root`, newest first."""
    found = [p for p in root.iterdir() if not p.name.startswith(".")] if root.is_dir() else []
    found = [p for p in found if (p / run_folder.NAME).is_file()]
    return [p.name for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]


def folder(root: Path, id_: str) -> Path:
    """The folder of a run by its id; raises RunNotFoundError, also for a name that is a path."""
    path = root / id_
    if not _ID.fullmatch(id_) or not (path / "run.yaml").is_file():
        raise RunNotFoundError(f"no run {id_!r} here")
    return path


def read(root: Path, id_: str) -> RunSummary:
    """A run with its lines; raises RunNotFoundError, RunFolderError."""
    path = folder(root, id_)
    lines = {line["id"]: line for line in run_folder.read_lines(path)}
    return RunSummary(path, tuple(lines.values()))


def file(root: Path, id_: str, name: str) -> Path:
    """A file of a run; raises RunNotFoundError for one outside its folder, links included."""
    base = folder(root, id_)
    try:
        path = (base / name).resolve()
        inside = path.is_relative_to(base.resolve()) and path.is_file()
    except (OSError, ValueError):
        inside = False
    if not inside or any(part.startswith(".") for part in Path(name).parts):
        raise RunNotFoundError(f"no file {name!r} in run {id_!r}")
    return path


def pack(folder: Path, out: Path, *, annotated: bool = True) -> Path:
    """A zip of the run: pictures, masks, manifest, report, and its annotations (COCO with
    polygons), which are written first where something was kept."""
    from ...exports.annotate import AnnotationError, annotate

    if annotated:
        try:
            annotate(folder, ("coco", "metadata"), polygons=True)
        except AnnotationError:
            pass  # nothing was kept
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in _files(folder):
            kind = zipfile.ZIP_DEFLATED if path.suffix in (".jsonl", ".json", ".yaml") else None
            archive.write(path, f"{folder.name}/{path.relative_to(folder)}", kind)
    return out


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not path.is_symlink() and not hidden:
            yield path
