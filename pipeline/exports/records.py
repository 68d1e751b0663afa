"""Annotated pictures, read from a run folder: picture, caption, instances with masks and boxes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...checkpoints import atomic_files
from ...configs.errors import AnnotationError, NothingToAnnotateError
from ...stages.regions.boxes import IntBox, mask_box
from ...training.datasets.caption_edits import split_tags
from ..images.read import PictureError, read_image
from ..images.write import encode_png
from ..inputs.previous_run import found_in
from ..runs.inside_path import inside
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

    @cached_property
    def box_xyxy(self) -> IntBox:
        """The mask's bounding box in whole pixels; the end is exclusive."""
        return mask_box(self.mask) or (0, 0, 0, 0)

    @property
    def box_xywh(self) -> IntBox:
        """The same box as corner and size, as COCO has it."""
        x0, y0, x1, y1 = self.box_xyxy
        return x0, y0, x1 - x0, y1 - y0


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture of a run with its annotations.

    Attributes:
        id: Id of its shot.
        path: Its file.
        file_name: The same, relative to the run folder, with /.
        size_wh: In pixels.
        text: Its caption; "" for a skipped one, which shows no product.
        prompt: Prompt of stage 1; None for a photo.
        seed: Seed of its shot.
        skipped: Code of the reason why it was skipped, "" where it was kept.
        instances: The products in it.
    """

    id: str
    path: Path
    file_name: str
    size_wh: tuple[int, int]
    text: str
    prompt: str | None
    seed: int
    skipped: str
    instances: tuple[Instance, ...]

    @property
    def name(self) -> str:
        """Its id with the suffix of its file."""
        return self.id + self.path.suffix

    def caption(self, tag: str = "") -> str:
        """Its text with an activation tag in front, unless that is among its tags already."""
        is_new = tag not in split_tags(self.text)
        return ", ".join(filter(None, (tag if is_new else "", self.text)))

    def link(self, target: Path) -> None:
        """Put its file at `target`: a hard link, or a copy where the disk has no links."""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # writing into a link would change the run's own file
        try:
            os.link(self.path, target)
        except OSError:
            shutil.copyfile(self.path, target)

    def write_mask(self, target: Path, *, empty: bool = False) -> bool:
        """Write a grey PNG, 255 on any product, and return True; without products only if
        `empty`."""
        if not self.instances and not empty:
            return False
        union = np.zeros(self.size_wh[::-1], np.uint8)
        for instance in self.instances:
            union[instance.mask] = 255
        atomic_files.write(target, encode_png(union))
        return True


def read_kept(
    folder: Path, *, include_skipped: bool | None = None
) -> tuple[list[ManifestRecord], list[ManifestRecord]]:
    """Return the last record of each shot, and those of kept pictures, with `include_skipped` of
    skipped ones too (None: the caller has no such option).

    Raises AnnotationError where there are none.
    """
    if not os.path.lexists(folder / NAME):
        raise AnnotationError(
            f"{folder} is no run folder: expected {NAME} in it; "
            "name the folder that `visuals run` wrote"
        )
    records = last_records(folder)
    chosen = [
        record
        for record in records
        if record.kept or (include_skipped and record.status == "skipped" and record.files.picture)
    ]
    if not chosen:
        hint = ", or add --include-skipped" if include_skipped is False else ""
        raise NothingToAnnotateError(
            f"{folder} kept no picture: expected some to export; run it again{hint}"
        )
    return records, chosen


def class_names(records: Sequence[ManifestRecord]) -> list[str]:
    """Return every class of a run, in order: a class's number is its place here."""
    names = [name for record in records for name in record.classes]
    names += [found.label for record in records for found in record.detections]
    return list(dict.fromkeys(names))


def load(
    folder: Path, record: ManifestRecord, edits: Mapping[str, str] | None = None
) -> AnnotatedPicture:
    """Return the picture of a record with its masks; a skipped one has no instances.

    `edits`: by class, for the caption. Raises PictureError for a file that cannot be read, and for
    a record without one.
    """
    skipped, file_name = record.status == "skipped", record.files.picture
    if not file_name:
        raise PictureError(f"its line in {NAME} names no picture: expected `files`; run it again")
    path = inside(folder, file_name)
    height, width = read_image(path).rgb.shape[:2]  # decoded, so that no broken picture is exported
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
        size_wh=(width, height),
        text="" if skipped else caption(record, edits),
        prompt=record.prompt,
        seed=record.seed,
        skipped=record.reason.code if skipped and record.reason else "",
        instances=tuple(instances),
    )
