"""YOLO segmentation, as Ultralytics reads it: data.yaml, images/, labels/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from ...checkpoints import atomic_files
from .polygons import outline
from .records import AnnotatedPicture


class Yolo:
    """Writes a .txt a picture: one line an instance, its class and a polygon in 0..1."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.numbers = {name: k for k, name in enumerate(names)}

    def add(self, picture: AnnotatedPicture) -> None:
        name = _name(picture.name)
        picture.link(self.folder / "images" / name)
        rows = []
        for instance in picture.instances:
            points = (outline(instance.mask) / picture.size_wh).ravel()
            corners = " ".join(f"{value:.6f}" for value in points)
            rows.append(f"{self.numbers[instance.label]} {corners}\n")
        label = self.folder / "labels" / f"{name[: -len(picture.path.suffix)]}.txt"
        atomic_files.write(label, "".join(rows).encode())

    def close(self) -> None:
        """Write data.yaml without `path`, so that readers take its own folder."""
        record = {
            "train": "images",
            "val": "images",
            "names": {number: name for name, number in self.numbers.items()},
        }
        text = "# val is train: split it as you need it.\n" + yaml.safe_dump(
            record, sort_keys=False, allow_unicode=True
        )
        atomic_files.write(self.folder / "data.yaml", text.encode())


def _name(name: str) -> str:
    """Rename subfolders called images: readers find labels by the last folder of that name."""
    return "/".join(f"{part}_" if part == "images" else part for part in name.split("/"))
