"""A run's manifest as plain records: picture, caption, instances with masks and boxes.

Knows the run folder, and no format of annotations.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..images import read as image_reader
from ..inputs import previous_run
from ..runs import folder as run_folder
from .annotate import AnnotationError


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
        """The mask's own box in whole pixels; the end is exclusive."""
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
    """A picture of a run with what is on it.

    `path`: the file; `file_name`: the same, relative to the run folder, with /; `text`: its
    caption; `skipped`: the code of the reason, "" where it was kept.
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
        """Id and ending: its name where a format keeps pictures of its own."""
        return self.id + self.path.suffix

    def place(self, target: Path) -> None:
        """Put the picture's file at `target`: linked, or copied where the disk has no links."""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # writing into a link would change the run's own file
        try:
            os.link(self.path, target)
        except OSError:
            shutil.copyfile(self.path, target)


def lines(folder: Path) -> list[dict[str, Any]]:
    """The manifest's last line of each shot; AnnotationError where there is no manifest."""
    if not (folder / run_folder.NAME).is_file():
        raise AnnotationError(
            f"{folder} is no run folder: expected {run_folder.NAME} in it; "
            "name the folder that `visuals run` wrote"
        )
    return list({line["id"]: line for line in run_folder.read_lines(folder)}.values())


def choose(lines: Sequence[dict[str, Any]], *, include_skipped: bool) -> list[dict[str, Any]]:
    """The lines of pictures that were kept, and of those skipped if asked for."""
    wanted = ("kept", "enhanced", "skipped") if include_skipped else ("kept", "enhanced")
    return [line for line in lines if line["status"] in wanted and line["files"]["source"]]


def class_names(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every class that was asked for, in order: a class's number is its place here."""
    names = [name for line in lines for name in line["classes"]]
    names += [found["label"] for line in lines for found in line["detections"]]
    return list(dict.fromkeys(names))


def load(
    folder: Path, line: Mapping[str, Any], edits: Mapping[str, str] | None = None
) -> AnnotatedPicture:
    """A line with its masks; `edits`: the classes' own, for the caption.

    Raises PictureError for a file that cannot be read.
    What was found in a skipped picture was refused, so it comes without instances.
    """
    from PIL import Image

    skipped = line["status"] == "skipped"
    file_name = line["files"]["result"] or line["files"]["source"]
    path = folder / _inside(file_name)
    try:
        with Image.open(path) as image:
            width, height = image.size
    except FileNotFoundError:
        raise image_reader.PictureError(f"{path}: no such file; run it again") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise image_reader.PictureError(f"{path}: not a picture that can be read") from None
    found = [
        Instance(d.label, float(d.score), d.mask)
        for d in (() if skipped else previous_run.found_in(folder, line))
        if d.mask is not None and d.mask.any()
    ]
    for instance in found:
        if instance.mask.shape != (height, width):
            raise image_reader.PictureError(
                f"a mask of {instance.mask.shape[1]} × {instance.mask.shape[0]} for a picture of "
                f"{width} × {height}: expected equal sizes; run it again"
            )
    return AnnotatedPicture(
        id=line["id"],
        path=path,
        file_name=file_name,
        width=width,
        height=height,
        text=caption(line, edits),
        prompt=line["prompt"],
        seed=line["seed"],
        skipped=line["reason"]["code"] if skipped else "",
        instances=tuple(found),
    )


def _inside(name: str) -> PurePosixPath:
    """A file name of a manifest, which may come from elsewhere: it must stay in the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise image_reader.PictureError(f"{name}: expected a file inside the run folder")
    return path


def class_edits(folder: Path) -> dict[str, str]:
    """The classes' own edits, from the settings in run.yaml; {} where that cannot be read."""
    import yaml

    try:
        record = yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))
        classes = record["settings"]["classes"]
        return {name: spec["edit"] for name, spec in classes.items() if spec.get("edit")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return {}


def caption(line: Mapping[str, Any], edits: Mapping[str, str] | None = None) -> str:
    """What the picture shows: its prompt without LoRA tags, else "a {class}".

    The edit, the run's or the class's own, is part of it where stage 3 has painted it.
    """
    from ...stages.classes import MERGED, SCENE
    from ...stages.prompts.lora_tags import expand, parse

    labels = list(dict.fromkeys(d["label"] for d in line["detections"]))
    products = [name for name in labels if name not in (MERGED, SCENE)] or list(line["classes"])
    painted = [SCENE] if SCENE in labels else products

    def edit(name: str) -> str:
        if name not in painted or not line["files"]["result"]:
            return ""
        label = MERGED if MERGED in labels else name
        return str(line.get("edit") or (edits or {}).get(label, ""))

    if line["prompt"]:
        text = parse(line["prompt"])[0]
        if "{edit}" in text:
            return " ".join(expand(text, "", edit(painted[0])).split())
    else:
        text = " and ".join(f"{_article(name)} {name}" for name in products)
    for name in painted:
        if told := edit(name):
            text = _edited(text, name, told)
    return " ".join(text.split())


def _edited(text: str, name: str, edit: str) -> str:
    """The edit before the first mention of the product, with its article, or at the end."""
    pattern = rf"(?:\b(an?) )?\b({re.escape(name)})\b"

    def put(found: re.Match[str]) -> str:
        return " ".join(filter(None, (found[1] and _article(edit), edit, found[2])))

    told, count = re.subn(pattern, put, text, count=1)
    return told if count else f"{text}, {edit} {name}"


def _article(words: str) -> str:
    return "an" if words[0].lower() in "aeiou" else "a"
