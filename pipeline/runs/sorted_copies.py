"""Copies beside the run's own folders: skipped originals by reason, kept pictures by class.

Reads manifest lines; what is there already is left alone, so that a run that goes on can file
again what it did before. Knows no shots, no models.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...checkpoints.atomic_files import beside


def copy_skipped(folder: Path, line: Mapping[str, Any]) -> Path | None:
    """The original of a skipped shot, byte for byte, to `skipped/<reason>/<id><its ending>`.

    A drawn picture is copied from `sources/`. None where the shot was not skipped.
    """
    if line["status"] != "skipped" or not line["reason"]:
        return None
    if line["input"]:
        original = Path(line["input"])
    elif line["files"]["source"]:
        original = folder / line["files"]["source"]
    else:
        return None
    target = folder / "skipped" / line["reason"]["code"] / f"{line['id']}{original.suffix}"
    return _copied(original, target)


def sort_by_class(folder: Path, line: Mapping[str, Any]) -> list[Path]:
    """A kept shot's picture under `sorted/<class>/` for each class found in it, linked where the
    disk can, else copied."""
    name = line["files"]["result"] or line["files"]["source"]
    if line["status"] not in ("kept", "enhanced") or not name:
        return []
    labels = dict.fromkeys(d["label"] or "masked" for d in line["detections"])
    ending = Path(name).suffix
    return [
        _copied(
            folder / name, folder / "sorted" / _folder(label) / f"{line['id']}{ending}", link=True
        )
        for label in labels
    ]


def _folder(label: str) -> str:
    return re.sub(r"[^\w .+-]", "_", label).strip(" .") or "_"


def _copied(source: Path, target: Path, *, link: bool = False) -> Path:
    """Copied beside and renamed: `target` is whole or not there."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        try:
            os.link(source, target)
            return target
        except OSError:
            pass
    with beside(target) as name:
        shutil.copyfile(source, name)
    return target
