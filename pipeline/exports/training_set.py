"""Training sets from the kept pictures of a run: pictures, captions, masks."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ...checkpoints import atomic_files
from ...configs.errors import AnnotationError
from ...configs.outputs import check_new_folder
from ...training.datasets.dataset_folder import MASK_SUFFIX
from ..inputs.find_files import flat_name
from ..runs.inside_path import file_name, inside
from . import records
from .imagefolder import ImageFolder
from .records import AnnotatedPicture
from .writer import Exported, Progress, Writer, write_pictures

FORMATS = ("imagefolder", "kohya")


def export(
    run: str | Path,
    format: str = "kohya",
    *,
    out: str | Path | None = None,
    tag: str = "",
    repeats: int = 1,
    name: str = "",
    progress: Progress | None = None,
) -> Exported:
    """Write the kept pictures of a run as a training set. Masks are grey, 255 on any product.

    Pictures of sub-folders are written into one folder: kohya's scripts enter none.

    Args:
        run: The run folder.
        format: `kohya`: `<repeats>_<name>/` with pictures and `.txt` captions, and
            `masks/<repeats>_<name>/`; `imagefolder`: `metadata.jsonl` (`file_name`, `text`,
            `mask_file_name`), `images/` and `masks/`.
        out: A new folder to write to; by default `export/<format>` of the run, which is replaced.
        tag: Activation tag before each caption.
        repeats: How often kohya's scripts repeat a picture in an epoch.
        name: Name of kohya's folder; by default the tag, else the run's classes.
        progress: Called for each picture.

    Raises:
        AnnotationError: The format is unknown, `name` is a path, `out` is not empty, or no picture
            can be read.
    """
    run = Path(run)
    if format not in FORMATS:
        raise AnnotationError(f"unknown format {format!r} (expected {', '.join(FORMATS)})")
    if "/" in name or "\\" in name:
        raise AnnotationError(f"--name {name!r}: expected a name without a folder; set --out")
    folder = inside(run, f"export/{format}") if out is None else Path(out)
    if out is not None:
        check_new_folder(folder, AnnotationError)
    manifest, chosen = records.read_kept(run)
    words = name or tag or " ".join(records.class_names(manifest))
    writers: dict[str, Callable[[Path], Writer]] = {
        "imagefolder": partial(ImageFolder, tag=tag, masks=True),
        "kohya": partial(Kohya, subfolder=f"{repeats}_{_folder_name(words)}", tag=tag),
    }
    used: set[str] = set()
    return write_pictures(
        run,
        chosen,
        {format: folder},
        writers,
        progress=progress,
        allow_none=False,
        replaces=out is None,
        rename=lambda id_: flat_name(_visible(id_), used),
    )


class Kohya:
    """Writes pictures with captions beside them, and masks."""

    def __init__(self, folder: Path, *, subfolder: str, tag: str) -> None:
        self.folder, self.subfolder, self.tag = folder, subfolder, tag

    def add(self, picture: AnnotatedPicture) -> None:
        path = self.folder / self.subfolder / picture.name
        picture.link(path)
        caption = f"{picture.caption(self.tag)}\n"
        atomic_files.write(path.with_suffix(".txt"), caption.encode())
        picture.write_mask(self.folder / "masks" / self.subfolder / f"{picture.id}.png")

    def close(self) -> None:
        """Nothing belongs to all pictures."""


def _visible(name: str) -> str:
    """Return a name that readers take neither for a hidden file nor for a mask."""
    return f"_{name}_" if name.startswith(".") or name.endswith(MASK_SUFFIX) else name


def _folder_name(words: str) -> str:
    """Return a folder name that any disk takes."""
    return file_name(re.sub(r"[^\w .-]+", "", words).strip(" .") or "pictures")
