"""Training sets from the kept pictures of a run: pictures, captions, masks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ...checkpoints import atomic_files
from ...configs.errors import AnnotationError, NothingToAnnotateError
from ..images.write import encode_png
from ..runs.jsonl import to_json
from . import records
from .records import AnnotatedPicture
from .writer import require_new, write_pictures

FORMATS = ("imagefolder", "kohya")


@dataclass
class Exported:
    """A training set that was written; `errors` name the pictures left out."""

    folder: Path
    pictures: int = 0
    errors: list[str] = field(default_factory=list)


def export(
    run: str | Path,
    format: str = "kohya",
    *,
    out: str | Path | None = None,
    tag: str = "",
    repeats: int = 1,
    name: str = "",
    progress: Callable[[str, int, int], None] | None = None,
) -> Exported:
    """Write the kept pictures of a run as a training set. Masks are grey, 255 on any product.

    Args:
        run: the run folder.
        format: `kohya`: `<repeats>_<name>/` with pictures and `.txt` captions, and
            `masks/<repeats>_<name>/`; `imagefolder`: `metadata.jsonl` (`file_name`, `text`,
            `mask_file_name`), `images/` and `masks/`.
        out: a new folder to write to; by default `export/<format>` of the run, which is replaced.
        tag: activation tag before each caption.
        repeats: how often kohya's scripts repeat a picture in an epoch.
        name: name of kohya's folder; by default the tag, else the run's classes.
        progress: called with "annotate", the pictures done and their number.

    Raises:
        AnnotationError: the format is unknown, `out` is not empty, or no picture can be read.
    """
    run = Path(run)
    if format not in FORMATS:
        raise AnnotationError(f"unknown format {format!r} (expected {', '.join(FORMATS)})")
    manifest = records.read_run(run)
    chosen = records.choose(manifest)
    if not chosen:
        raise NothingToAnnotateError(
            f"{run} kept no picture: expected some to export; run it again"
        )
    folder = run / "export" / format if out is None else Path(out)
    if out is not None:
        require_new(folder)
    subfolder = "images"
    if format == "kohya":
        words = name or tag or " ".join(records.class_names(manifest))
        subfolder = f"{repeats}_{_folder_name(words)}"
    writer = partial(_TrainingSet, subfolder=subfolder, tag=tag, sidecars=format == "kohya")
    written = write_pictures(run, chosen, {folder: writer}, progress=progress, allow_none=False)
    return Exported(folder, written.pictures, written.errors)


class _TrainingSet:
    """Writes pictures, masks, and captions as sidecars or in `metadata.jsonl`."""

    def __init__(self, folder: Path, *, subfolder: str, tag: str, sidecars: bool) -> None:
        self.folder, self.subfolder, self.tag, self.sidecars = folder, subfolder, tag, sidecars
        self.rows: list[str] = []

    def add(self, picture: AnnotatedPicture) -> None:
        text = picture.text
        if self.tag and self.tag not in (part.strip() for part in text.split(",")):
            text = f"{self.tag}, {text}"
        file_name, mask_name = f"{self.subfolder}/{picture.name}", None
        picture.link(self.folder / file_name)
        if picture.instances:
            masks = f"masks/{self.subfolder}" if self.sidecars else "masks"
            mask_name = f"{masks}/{picture.id}.png"
            atomic_files.write(self.folder / mask_name, encode_png(picture.mask))
        if self.sidecars:
            sidecar = (self.folder / file_name).with_suffix(".txt")
            atomic_files.write(sidecar, f"{text}\n".encode())
        row = {"file_name": file_name, "text": text, "mask_file_name": mask_name}
        self.rows.append(to_json(row) + "\n")

    def close(self) -> None:
        if not self.sidecars:
            atomic_files.write(self.folder / "metadata.jsonl", "".join(self.rows).encode())


def _folder_name(words: str) -> str:
    """Return a folder name that any disk takes."""
    return re.sub(r"[^\w .-]+", "", words).strip(" .") or "pictures"
