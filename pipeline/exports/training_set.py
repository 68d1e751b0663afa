"""The pictures that a run kept, as the data set of a training: captions, masks.

Knows the run folder through `annotations.records`; no models and no terminal.
"""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..images import read as image_reader
from . import records
from .annotate import AnnotationError, NothingToAnnotateError

if TYPE_CHECKING:
    from .records import AnnotatedPicture

FORMATS = ("imagefolder", "kohya")


@dataclass
class Exported:
    """A data set that was written; `errors` name the pictures left out."""

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
    """Write the kept pictures of a run as a data set.

    `kohya`: `<repeats>_<name>/` with pictures and `.txt` captions, `masks/<repeats>_<name>/`.
    `imagefolder`: `metadata.jsonl` (`file_name`, `text`, `mask_file_name`), `images/`, `masks/`.
    `tag`: goes before each caption; `name`: by default the tag, else the run's classes.
    Masks are L, 255 on any product. Raises AnnotationError; in `out` nothing is replaced.
    """
    run = Path(run)
    if format not in FORMATS:
        raise AnnotationError(f"unknown format {format!r} (expected {', '.join(FORMATS)})")
    lines = records.lines(run)
    chosen = records.choose(lines, include_skipped=False)
    if not chosen:
        raise NothingToAnnotateError(
            f"{run} kept no picture: expected some to export; run it again"
        )
    folder = run / "export" / format if out is None else Path(out)
    if out is not None and folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise AnnotationError(f"{folder} is there already: expected a new one; set --out")
    part = folder.with_name(f".{folder.name}.part")
    called = _plain(name or tag or " ".join(records.class_names(lines)))
    place = f"{repeats}_{called}" if format == "kohya" else "images"
    done, rows = Exported(folder), []
    edits = records.class_edits(run)
    try:
        shutil.rmtree(part, ignore_errors=True)
        for number, line in enumerate(chosen, 1):
            try:
                picture = records.load(run, line, edits)
            except image_reader.PictureError as error:
                done.errors.append(f"{line['id']}: {error}")
            else:
                rows.append(_write(part, place, picture, tag, sidecar=format == "kohya"))
                done.pictures += 1
            if progress:
                progress("annotate", number, len(chosen))
        if not rows:
            raise AnnotationError(f"{run}: no picture could be read ({done.errors[0]})")
        if format == "imagefolder":
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            image_reader.write(part / "metadata.jsonl", text.encode())
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except OSError as error:
        raise AnnotationError(
            f"cannot write to {folder} ({error.strerror}); set --out to a folder of yours"
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return done


def _write(
    folder: Path, place: str, picture: AnnotatedPicture, tag: str, *, sidecar: bool
) -> dict[str, str | None]:
    """One picture with its mask, if any, and caption; its line of `metadata.jsonl`."""
    from PIL import Image

    text = picture.text
    if tag and tag not in (part.strip() for part in text.split(",")):
        text = f"{tag}, {text}"
    file_name = f"{place}/{picture.name}"
    picture.place(folder / file_name)
    mask_name = None
    if picture.instances:
        mask_name = f"masks/{place}/{picture.id}.png" if sidecar else f"masks/{picture.id}.png"
        mask = np.any([found.mask for found in picture.instances], axis=0)
        held = io.BytesIO()
        Image.fromarray(mask.astype(np.uint8) * 255).save(held, "PNG")
        image_reader.write(folder / mask_name, held.getvalue())
    if sidecar:
        image_reader.write((folder / file_name).with_suffix(".txt"), f"{text}\n".encode())
    return {"file_name": file_name, "text": text, "mask_file_name": mask_name}


def _plain(name: str) -> str:
    """A name for a folder on any disk."""
    return re.sub(r"[^\w .-]+", "", name).strip(" .") or "pictures"
