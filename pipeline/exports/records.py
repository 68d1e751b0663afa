"""Annotated pictures, read from a run folder: picture, caption, instances with masks and boxes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ...configs.errors import AnnotationError
from ..images.read import PictureError
from ..inputs.previous_run import found_in
from ..runs.manifest import NAME, ManifestRecord, last_records
from .caption_text import caption


@dataclass(frozen=True)
class Instance:
    """One product: `mask` bool (H, W), True on it, never empty; `score` 0..1."""

    label: str
    score: float
    mask: np.ndarray

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))

    @property
    def box_xyxy(self) -> tuple[int, int, int, int]:
        """The mask's bounding box in whole pixels; the end is exclusive."""
        rows = np.flatnonzero(self.mask.any(axis=1))
        columns = np.flatnonzero(self.mask.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    @property
    def box_xywh(self) -> tuple[int, int, int, int]:
        """The same box as corner and size, as COCO has it."""
        x0, y0, x1, y1 = self.box_xyxy
        return x0, y0, x1 - x0, y1 - y0


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture of a run with its annotations.

    Args:
        id: id of its shot.
        path: its file.
        file_name: the same, relative to the run folder, with /.
        width: in pixels.
        height: in pixels.
        text: its caption.
        prompt: prompt of stage 1; None for a photo.
        seed: seed of its shot.
        skipped: code of the reason why it was skipped, "" where it was kept.
        instances: the products in it.
    """

    id: str
    path: Path
    file_name: str
    width: int
    height: int
    text: str
    prompt: str | None
    seed: int
    skipped: str
    instances: tuple[Instance, ...]

    @property
    def name(self) -> str:
        """Its id with the suffix of its file."""
        return self.id + self.path.suffix

    @property
    def mask(self) -> np.ndarray:
        """uint8 (H, W): 255 on any product."""
        union = np.zeros((self.height, self.width), np.uint8)
        for instance in self.instances:
            union[instance.mask] = 255
        return union

    def link(self, target: Path) -> None:
        """Put its file at `target`: a hard link, or a copy where the disk has no links."""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # writing into a link would change the run's own file
        try:
            os.link(self.path, target)
        except OSError:
            shutil.copyfile(self.path, target)


def read_run(folder: Path) -> list[ManifestRecord]:
    """Return the last record of each shot; raises AnnotationError where there is no manifest."""
    if not (folder / NAME).is_file():
        raise AnnotationError(
            f"{folder} is no run folder: expected {NAME} in it; "
            "name the folder that `visuals run` wrote"
        )
    return last_records(folder)


def choose(
    records: Sequence[ManifestRecord], *, include_skipped: bool = False
) -> list[ManifestRecord]:
    """Return the records of kept pictures, and with `include_skipped` those of skipped ones."""
    return [
        record
        for record in records
        if record.files.source and (record.kept or (include_skipped and record.status == "skipped"))
    ]


def class_names(records: Sequence[ManifestRecord]) -> list[str]:
    """Return every class of a run, in order: a class's number is its place here."""
    names = [name for record in records for name in record.classes]
    names += [found.label for record in records for found in record.detections]
    return list(dict.fromkeys(names))


def load(
    folder: Path, record: ManifestRecord, edits: Mapping[str, str] | None = None
) -> AnnotatedPicture:
    """Return the picture of a record with its masks. A skipped one has no instances.

    Args:
        folder: the run folder.
        record: the picture's record.
        edits: edits by class, for the caption.

    Raises:
        PictureError: a file cannot be read.
    """
    from PIL import Image

    skipped, file_name = record.status == "skipped", record.files.picture or ""
    path = folder / _inside(file_name)
    try:
        with Image.open(path) as image:
            width, height = image.size
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file; run it again") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise PictureError(f"{path}: not a picture that can be read") from None
    instances = [
        Instance(found.label, float(found.score), found.mask)
        for found in (() if skipped else found_in(folder, record))
        if found.mask is not None and found.mask.any()
    ]
    for instance in instances:
        if instance.mask.shape != (height, width):
            raise PictureError(
                f"a mask of {instance.mask.shape[1]} × {instance.mask.shape[0]} for a picture of "
                f"{width} × {height}: expected equal sizes; run it again"
            )
    return AnnotatedPicture(
        id=record.id,
        path=path,
        file_name=file_name,
        width=width,
        height=height,
        text=caption(record, edits),
        prompt=record.prompt,
        seed=record.seed,
        skipped=record.reason.code if skipped and record.reason else "",
        instances=tuple(instances),
    )


def _inside(name: str) -> PurePosixPath:
    """Refuse a file outside the run folder: a manifest may come from anyone."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise PictureError(f"{name}: expected a file inside the run folder")
    return path
