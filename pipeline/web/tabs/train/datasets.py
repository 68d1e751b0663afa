"""Data sets of the tab Train: found, read, exported, checked, their captions written.

A data set is a folder in the studio's folder, the one that the runs lie in.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path

from .....configs.train import TrainSettings
from .....training.captioning import caption_folder
from .....training.check_dataset import DatasetReport, check_dataset
from .....training.datasets import images as picture_files
from .....training.datasets.caption_edits import CaptionEdits
from .....training.datasets.dataset_folder import REPEATS, Dataset, DatasetError, read_dataset
from ....images.read import PictureError
from ...files import lora_library, run_folders
from ...files.free_path import free_path
from ...widgets import components
from ...widgets.prompt_preview import token_counter

EXPORTED = "datasets"
"""The folder beside the runs where exports go."""
_NAME = re.compile(r"\w[\w.-]{0,63}", re.ASCII)
_MOST = 2000


def plain_name(text: str, what: str = "name") -> str:
    """Return a name that fits a folder, a file and a LoRA's tag; raises DatasetError."""
    name = (text or "").strip()
    if not _NAME.fullmatch(name):
        raise DatasetError(
            f"{what} {name!r}: expected letters, digits, '_', '-' and '.', at most 64 of them"
        )
    return name


def place(root: Path, text: str) -> Path:
    """Return a folder in the studio's; raises DatasetError for one outside."""
    home = Path(os.path.abspath(root.parent))
    meant = Path(os.path.normpath(home / os.path.expanduser((text or "").strip())))
    if not (text or "").strip():
        raise DatasetError("no data set: choose a folder, or make one of a run")
    if meant == home or not meant.is_relative_to(home) or "\0" in text:
        raise DatasetError(
            f"{text}: expected a folder in {home}, where the studio is; link or copy it there, "
            "or start visuals ui in the folder above it"
        )
    return root.parent / meant.relative_to(home)


def found(root: Path) -> list[str]:
    """Return the folders in the studio's that hold pictures, those of `datasets/` first."""
    home, skipped = root.parent, {root.resolve(), lora_library.folder(root).resolve()}
    out = []
    for seen, (here, below, names) in enumerate(os.walk(home)):
        path = Path(here)
        deep = len(path.relative_to(home).parts)
        below[:] = sorted(
            n
            for n in below
            if not n.startswith((".", "__"))
            and n != "masks"
            and (path / n).resolve() not in skipped
        )
        kohya = [n for n in below if REPEATS.fullmatch(n)]
        whole = "metadata.jsonl" in names or bool(kohya)
        if path != home and (whole or any(picture_files.is_picture(Path(n)) for n in names)):
            out.append(path.relative_to(home).as_posix())
            below.clear()
        if deep >= 3 or seen > _MOST:
            below.clear()
    return sorted(out, key=lambda name: (not name.startswith(f"{EXPORTED}/"), name))


def read(root: Path, text: str) -> Dataset:
    """Return the data set in a folder; raises DatasetError."""
    return read_dataset(place(root, text))


def export(root: Path, run: str, tag: str) -> tuple[str, list[str]]:
    """Make a data set of what a run kept; return its folder's name, and what was left out.

    Raises RunNotFoundError, AnnotationError.
    """
    from ....exports import training_set as exporting

    out = free_path(root.parent / EXPORTED / run)
    done = exporting.export(run_folders.folder(root, run), "kohya", out=out, tag=tag)
    return out.relative_to(root.parent).as_posix(), done.errors


def write(root: Path, text: str, captions: Mapping[str, str]) -> None:
    """Write captions by the pictures' names; raises DatasetError, OSError."""
    caption_folder.write_captions(read(root, text), captions)


def put_tag(root: Path, text: str, tag: str) -> tuple[int, list[str]]:
    """Put the activation tag before every caption that lacks it; return how many changed, and why
    others could not be."""
    if not tag.strip(" ,"):
        raise DatasetError("no tag: expected a word that no caption has yet, as ppzlook")
    done = caption_folder.caption_dataset(read(root, text), None, edits=CaptionEdits(tag=tag))
    return len(done.changes), [problem.message for problem in done.problems]


def check(settings: TrainSettings) -> DatasetReport:
    """Check a data set as a training with these settings would read it; raises ValueError."""
    from .....training.datasets.training_set import make_buckets, read_settings_dataset

    s = settings
    return check_dataset(
        read_settings_dataset(s),
        buckets=make_buckets(s),
        batch_size=s.train_batch_size,
        gradient_accumulation_steps=s.gradient_accumulation_steps,
        count_tokens=token_counter(s.model),
        max_token_length=s.max_token_length,
    )


@functools.lru_cache(512)
def _thumbnail(path: Path, changed: float, side: int) -> str:
    image = picture_files.read(path)
    image.thumbnail((side, side))
    return components.data_url(image, 80)


def thumbnail(path: Path, side: int = 192) -> str | None:
    """Return a small picture as a data: URL; None where it cannot be read."""
    try:
        return _thumbnail(path, path.stat().st_mtime, side)
    except (PictureError, OSError):
        return None
