"""Reads a training folder: pictures, captions, repeats, masks.

Three layouts are recognized: kohya's `N_name` folders, a 🤗 imagefolder with `metadata.jsonl`, and
a plain folder. Captions are in sidecars (`.txt`, `.caption`) or in the metadata. A bad file becomes
a Problem and never stops the reading; a file that is not used is named.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...configs.errors import UsageError
from ...pipeline.images.masks import match_masks
from ...pipeline.images.read import ENDINGS
from . import images as dataset_images
from .caption_edits import split_tags
from .captions import ENDINGS as CAPTION_ENDINGS
from .captions import Captions
from .imagefolder import REPORT
from .images import Problem

MASKS = "masks"
MASK_SUFFIX = "-masklabel"
"""OneTrainer's name of a mask beside its picture."""
REPEATS = re.compile(r"(\d+)(?:_(.*))?")
"""Name of an `N_name` folder, or `N` alone, as kohya's scripts read it."""
_MANY_REPEATS, _MOST_PICTURES = 1000, 1_000_000
_REGULARISATION = "reg"  # kohya's GUI keeps class pictures there, beside img
OUTPUTS = ("train.yaml", "log.jsonl", "loss.png", "samples")
"""What a training writes into its folder, beside checkpoints, LoRA files, `logs` and `cache`."""
_OUTPUT = re.compile(r"checkpoint-\d+|logs|cache|.*\.safetensors")


class DatasetError(UsageError):
    """A folder cannot be used as a data set."""


@dataclass(frozen=True)
class Item:
    """A picture of a data set, with the files of its caption and mask.

    `name`: its path in the data set; `repeats`: how often an epoch shows it; `class_prompt`: of its
    `N_name` folder, used without a caption; `caption_from`: a file with a caption, which cannot be
    read where `caption` is None.
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
        return self.class_prompt if self.is_uncaptioned else self.caption or ""

    @property
    def is_uncaptioned(self) -> bool:
        """Whether there is no caption, not even one that cannot be read."""
        return self.caption is None and self.caption_from is None

    @property
    def is_unread(self) -> bool:
        """Whether there is a caption that cannot be read."""
        return self.caption is None and self.caption_from is not None

    @property
    def tags(self) -> tuple[str, ...]:
        return split_tags(self.text)

    @property
    def tag(self) -> str:
        """The first tag, which `keep_tokens: 1` protects, or ""."""
        return self.tags[0] if self.tags else ""


@dataclass(frozen=True)
class Dataset:
    """A data set; `items` are sorted by name. `unused`: files that are not trained on, each with
    the reason; pictures among them have the code `left_out`."""

    folder: Path
    layout: Literal["kohya", "imagefolder", "folder"]
    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()
    unused: tuple[Problem, ...] = ()

    @property
    def left_out(self) -> tuple[Path, ...]:
        """Pictures that are not trained on."""
        return tuple(self.folder / p.name for p in self.unused if p.code == "left_out")

    @property
    def pictures(self) -> int:
        """Pictures an epoch, with repeats."""
        return sum(item.repeats for item in self.items)

    @property
    def excess(self) -> str:
        """Why an epoch has more pictures than a training takes, or ""."""
        if self.pictures <= _MOST_PICTURES:
            return ""
        most = max(self.items, key=lambda item: item.repeats)
        return (
            f"{self.folder}: {self.pictures:,} pictures an epoch, {most.name} alone "
            f"{most.repeats:,} times: expected at most {_MOST_PICTURES:,}; rename its folder, as "
            "in 10_name, or lower repeats"
        )

    @property
    def tag(self) -> str:
        """The activation tag: the first tag of most captions, or ""."""
        leading = Counter(item.tag for item in self.items if item.tag).most_common(1)
        return leading[0][0] if leading and 2 * leading[0][1] > len(self.items) else ""


@dataclass(frozen=True)
class _Subset:
    """The part of a data set in one folder."""

    folder: Path
    repeats: int
    class_prompt: str = ""


def read_dataset(
    folder: Path | str,
    *,
    caption_column: str = "text",
    caption_extension: str | None = None,
    repeats: int = 1,
    outputs: Iterable[Path | str] = (),
    without: Iterable[Path | str] = (),
) -> Dataset:
    """Read a training folder; raises DatasetError if it has no picture.

    Args:
        folder: The data set; the parent of `N_name` folders.
        caption_column: Caption key of `metadata.jsonl`; a sidecar takes precedence.
        caption_extension: The only ending of sidecars, with or without its dot; by default
            `.txt`, then `.caption`.
        repeats: Of pictures that are in no `N_name` folder.
        outputs: Folders that a training writes to; what it writes is no part of the data set.
        without: Folders that are another data set.
    """
    root = Path(os.path.normpath(folder))
    if not os.path.isdir(root):
        raise DatasetError(f"no folder {str(folder)!r}: expected a data set; check the path")
    files, problems = _files(root, _real(outputs), _real(without))
    subsets, layout = _subsets(_pictures(files, root), root, repeats)
    if not subsets:
        left_out = [
            _unused(path, root).message for path in files if dataset_images.is_picture(path)
        ]
        reason = f"; {len(left_out)} left out, as {left_out[0]}" if left_out else ""
        raise DatasetError(
            f"{folder} holds no picture: expected {', '.join(ENDINGS)} in it or in "
            f"folders named like 6_name; name another folder{reason}"
        )
    problems += _many_repeats(subsets.values(), root)
    captions = Captions(root, caption_column, _caption_endings(caption_extension))
    masks = _masks(files, root, subsets)
    items = []
    for path, subset in subsets.items():
        text, source = captions.of(path)
        mask = captions.mask(path) or masks.get(path)
        name = path.relative_to(root).as_posix()
        items.append(Item(path, name, text, subset.repeats, subset.class_prompt, source, mask))
    captions.finish(set(subsets))
    used = {*subsets, *captions.used, *(item.mask for item in items)}
    unused = [_unused(path, root) for path in files if path not in used] + captions.unread_lines
    problems += captions.problems
    if layout == "folder" and captions.has_metadata:
        return Dataset(root, "imagefolder", tuple(items), tuple(problems), tuple(unused))
    return Dataset(root, layout, tuple(items), tuple(problems), tuple(unused))


def _caption_endings(given: str | None) -> tuple[str, ...]:
    if not given:
        return CAPTION_ENDINGS
    if not re.fullmatch(r"\.?\w[\w.-]*", given):
        raise DatasetError(f"caption_extension {given!r}: expected the ending of a file; set .txt")
    return (f".{given.removeprefix('.')}",)


def _many_repeats(subsets: Iterable[_Subset], root: Path) -> list[Problem]:
    """A problem for each folder whose number is hardly one of repeats, such as a date."""
    return [
        Problem(
            "many_repeats",
            name,
            f"{name}: its pictures are shown {repeats:,} times an epoch, as in kohya's scripts; "
            "rename it, as in 10_name, if its number is none of repeats",
        )
        for name, repeats in sorted({(os.path.relpath(s.folder, root), s.repeats) for s in subsets})
        if repeats > _MANY_REPEATS
    ]


def _real(paths: Iterable[Path | str]) -> set[Path]:
    return {Path(path).resolve() for path in paths}


def _files(root: Path, outputs: set[Path], without: set[Path]) -> tuple[list[Path], list[Problem]]:
    """All visible files below a folder, sorted, without those that a training wrote."""
    files: list[Path] = []
    problems: list[Problem] = []

    def unreadable(error: OSError) -> None:
        text = f"{error.filename} cannot be read ({error.strerror}); allow reading it"
        if error.filename == str(root):
            raise DatasetError(text)
        name = Path(error.filename).relative_to(root).as_posix()
        problems.append(Problem("unreadable", name, text))

    for place, folders, names in os.walk(root, onerror=unreadable, followlinks=True):
        real = Path(place).resolve()
        written = "log.jsonl" in names or real in outputs
        folders[:], names[:] = (
            [
                name
                for name in given
                if not name.startswith(".")
                and not (written and (name in OUTPUTS or _OUTPUT.fullmatch(name)))
            ]
            for given in (folders, names)
        )
        around = {path.resolve() for path in (Path(place), *Path(place).parents)}
        apart = {*without, *around, *real.parents}  # a link to a folder around it is a circle
        folders[:] = [name for name in folders if (real / name).resolve() not in apart]
        files += (Path(place, name) for name in names if name != REPORT)
    return sorted(files), problems


def _pictures(files: list[Path], root: Path) -> list[Path]:
    """The pictures among files, without masks and kohya's class pictures."""
    pictures = [path for path in files if dataset_images.is_picture(path)]
    stems = {path.with_suffix("") for path in pictures}
    return [
        path
        for path in pictures
        if MASKS not in path.relative_to(root).parts[:-1]
        and not _regularises(path, root)
        and not (
            path.stem.endswith(MASK_SUFFIX)
            and path.with_name(path.stem.removesuffix(MASK_SUFFIX)) in stems
        )
    ]


def _regularises(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    return parts[0] == _REGULARISATION and len(parts) > 2 and bool(REPEATS.fullmatch(parts[1]))


def _subsets(
    pictures: list[Path], root: Path, repeats: int
) -> tuple[dict[Path, _Subset], Literal["kohya", "folder"]]:
    """The part that each picture belongs to. Where there are `N_name` folders, pictures elsewhere
    belong to none; a folder within one counts to it."""
    found: dict[Path, _Subset] = {}
    for path in pictures:
        for folder in reversed(path.relative_to(root).parents[:-1]):
            if match := REPEATS.fullmatch(folder.name):
                found[path] = _Subset(root / folder, int(match[1]), _class_prompt(match[2]))
                break
    if found:
        nearest = min(len(subset.folder.parts) for subset in found.values())
        return {
            path: subset
            for path, subset in found.items()
            if subset.repeats > 0 and len(subset.folder.parts) == nearest
        }, "kohya"
    if match := REPEATS.fullmatch(root.resolve().name):
        whole = _Subset(root, int(match[1]), _class_prompt(match[2]))
        return dict.fromkeys(pictures if whole.repeats else (), whole), "kohya"
    return dict.fromkeys(pictures, _Subset(root, repeats)), "folder"


def _class_prompt(name: str | None) -> str:
    """The caption in a folder's name, "" for one with bytes that are not UTF-8."""
    text = (name or "").strip()
    return text if text.encode(errors="ignore").decode() == text else ""


def _unused(path: Path, root: Path) -> Problem:
    """The reason why a file is not trained on."""
    name = path.relative_to(root).as_posix()
    code = "left_out" if dataset_images.is_picture(path) else "not_read"
    if code == "not_read":
        reason = "neither a picture by its ending nor the caption of one"
    elif _regularises(path, root):
        reason = f"a class picture of kohya's; set class_data_dir to {_REGULARISATION} to use it"
    elif _is_mask(path, root):
        reason = "a mask of no picture, or one of several; rename it, or move it out of masks"
    else:
        reason = "not in one of the N_name folders of 1 repeat or more; move it into one"
    return Problem(code, name, f"{name}: {reason}")


def _is_mask(path: Path, root: Path) -> bool:
    return MASKS in path.relative_to(root).parts[:-1] or path.stem.endswith(MASK_SUFFIX)


def _masks(files: list[Path], root: Path, pictures: Collection[Path]) -> dict[Path, Path]:
    """The mask of each picture that has one: OneTrainer's beside it, or the one with its path in
    the `masks` folder of a folder around it, else the one with its stem (see `match_masks`)."""
    places = {}
    for path in pictures:
        name = path.with_suffix("")
        around = [folder for folder in path.parents if folder.is_relative_to(root)]
        within = [folder / MASKS / name.relative_to(folder) for folder in around]
        places[path] = [name.with_name(f"{name.name}{MASK_SUFFIX}"), *within, Path(path.stem)]
    others = [p for p in files if p not in pictures and dataset_images.is_picture(p)]
    return match_masks(places, [path for path in others if _is_mask(path, root)])
