"""Sorted copies in a run folder: skipped originals by reason, kept pictures by class.

Existing copies are left alone, so that a resumed run can repeat the call.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from ...checkpoints.atomic_files import beside
from .inside_path import file_name, inside
from .manifest import ManifestRecord

FOLDERS = ("skipped", "sorted")
"""Folders that the copies are in."""


def copy_skipped(folder: Path, record: ManifestRecord, photos: Collection[str] = ()) -> Path | None:
    """Copy the original of a skipped shot, byte for byte, to `skipped/<reason>/<id><suffix>`.

    The original of a drawn picture lies in `sources/`. Returns None for a shot not skipped, and for
    one whose original is none of `photos`, the absolute paths of those that the request names: a
    manifest may come from anyone.
    """
    if record.status != "skipped" or not record.reason:
        return None
    if record.input:
        if os.path.abspath(record.input) not in photos:
            return None
        original = Path(record.input)
    elif record.files.source:
        original = inside(folder, record.files.source)
    else:
        return None
    target = inside(folder, f"skipped/{record.reason.code}/{record.id}{original.suffix}")
    return _copy(original, target)


def sort_by_class(folder: Path, record: ManifestRecord) -> list[Path]:
    """Put a kept shot's picture into `sorted/<class>/` of each class found in it.

    It is a hard link where the disk allows one, else a copy.
    """
    name = record.files.picture
    if not record.kept or not name:
        return []
    return [
        _copy(
            inside(folder, name),
            inside(folder, f"sorted/{_folder(label or 'masked')}/{record.id}{Path(name).suffix}"),
            link=True,
        )
        for label in record.labels
    ]


def _folder(label: str) -> str:
    return file_name(re.sub(r"[^\w .+-]", "_", label).strip(" .") or "_")


def _copy(source: Path, target: Path, *, link: bool = False) -> Path:
    """Copy or link atomically."""
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
