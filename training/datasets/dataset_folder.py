"""Reads a training folder: pictures, captions, repeats, masks.

Three layouts are recognized: kohya's `N_name` folders, a 🤗 imagefolder with `metadata.jsonl`, and
a plain folder. Captions are in sidecars (`.txt`, `.caption`) or in the metadata. A bad file becomes
a Problem and never stops the reading.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...configs.errors import UsageError
from ...pipeline.images.read import ENDINGS
from . import images as dataset_images
from .caption_edits import split_tags
from .captions import ENDINGS as CAPTION_ENDINGS
from .captions import Captions
from .images import Problem

MASKS = "masks"
_MASK_SUFFIX = "-masklabel"  # OneTrainer's name of a mask beside its picture
_REPEATS = re.compile(r"(\d+)_(.*)")


class DatasetError(UsageError):
    """A folder cannot be used as a data set."""


@dataclass(frozen=True)
class Item:
    """A picture of a data set, with the files of its caption and mask.

    `name`: its path in the data set; `repeats`: how often an epoch shows it; `class_prompt`: of its
    `N_name` folder, used without a caption.
    """

    path: Path
    name: str
    caption: str | None = None
    repeats: int = 1
    class_prompt: str = ""
    caption_from: Path | None = None
    mask: Path | None = None

    @property
    def text(self) -> str:
        """The caption, else the class prompt of the folder."""
        return self.class_prompt if self.caption is None else self.caption

    @property
    def tags(self) -> tuple[str, ...]:
        return split_tags(self.text)

    @property
    def tag(self) -> str:
        """The first tag, which `keep_tokens: 1` protects, or ""."""
        return self.tags[0] if self.tags else ""


@dataclass(frozen=True)
class Dataset:
    """A data set; `items` are sorted by name. `left_out`: pictures outside of `N_name` folders."""

    folder: Path
    layout: Literal["kohya", "imagefolder", "folder"]
    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()
    left_out: tuple[Path, ...] = ()

    @property
    def pictures(self) -> int:
        """Pictures an epoch, with repeats."""
        return sum(item.repeats for item in self.items)

    @property
    def tag(self) -> str:
        """The activation tag: the first tag of most captions, or ""."""
        leading = Counter(item.tag for item in self.items if item.tag).most_common(1)
        return leading[0][0] if leading and 2 * leading[0][1] > len(self.items) else ""


def read_dataset(
    folder: Path | str,
    *,
    caption_column: str = "text",
    caption_extension: str | None = None,
    repeats: int = 1,
) -> Dataset:
    """Read a training folder; raises DatasetError if it has no picture.

    Args:
        folder: The data set; the parent of `N_name` folders.
        caption_column: Caption key of `metadata.jsonl`; a sidecar takes precedence.
        caption_extension: The only ending of sidecars; by default `.txt`, then `.caption`.
        repeats: Of pictures that are in no `N_name` folder.
    """
    root = Path(os.path.normpath(folder))
    if not os.path.isdir(root):
        raise DatasetError(f"no folder {str(folder)!r}: expected a data set; check the path")
    try:
        subsets, layout = _subsets(root, repeats)
    except OSError as error:
        raise DatasetError(
            f"{folder} cannot be read ({error.strerror}); allow reading it"
        ) from None
    if not any(pictures for _, pictures, _, _ in subsets):
        raise DatasetError(
            f"{folder} holds no picture: expected {', '.join(ENDINGS)} in it or in "
            "folders named like 6_name; name another folder"
        )
    endings = (caption_extension,) if caption_extension else CAPTION_ENDINGS
    captions = Captions(root, caption_column, endings)
    items, taken = [], set()
    for place, pictures, times, prompt in subsets:
        for path in pictures:
            taken.add(path)
            text, source = captions.of(path)
            mask = captions.mask(path) or _mask(path, place, root)
            name = path.relative_to(root).as_posix()
            items.append(Item(path, name, text, times, prompt, source, mask))
    captions.finish(taken)
    left = sorted(set(_walk(root)) - taken) if layout == "kohya" else []
    if layout == "folder" and captions.has_metadata:
        layout = "imagefolder"
    return Dataset(root, layout, tuple(items), tuple(captions.problems), tuple(left))


_Subset = tuple[Path, list[Path], int, str]


def _subsets(
    root: Path, repeats: int
) -> tuple[list[_Subset], Literal["kohya", "imagefolder", "folder"]]:
    """(folder, its pictures, repeats, class prompt) of each part of the data set."""
    named = [(p, _REPEATS.fullmatch(p.name)) for p in sorted(root.iterdir()) if os.path.isdir(p)]
    if not any(m for _, m in named) and _REPEATS.fullmatch(root.resolve().name):
        named = [(root, _REPEATS.fullmatch(root.resolve().name))]
    kohya = [(p, _flat(p), int(m[1]), m[2].strip()) for p, m in named if m]
    if any(pictures for _, pictures, _, _ in kohya):
        return [part for part in kohya if part[2] > 0], "kohya"
    return [(root, sorted(_walk(root)), repeats, "")], "folder"


def _learned(path: Path) -> bool:
    return dataset_images.is_picture(path) and not path.stem.endswith(_MASK_SUFFIX)


def _flat(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if _learned(p) and os.path.isfile(p))


def _walk(root: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(root):
        folders[:] = [n for n in folders if not n.startswith(".") and n != MASKS]
        yield from (Path(place, n) for n in names if _learned(Path(place, n)))


def _mask(path: Path, place: Path, root: Path) -> Path | None:
    """`masks/<name>.png` in the picture's folder or the root, or OneTrainer's beside it."""
    below = path.relative_to(place).with_suffix(".png")
    for found in (
        path.with_name(f"{path.stem}{_MASK_SUFFIX}.png"),
        path.parent / MASKS / f"{path.stem}.png",
        place / MASKS / below,
        root / MASKS / path.relative_to(root).with_suffix(".png"),
    ):
        if os.path.isfile(found):
            return found
    return None
