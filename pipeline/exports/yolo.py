"""YOLO segmentation as Ultralytics reads it: data.yaml, images/, labels/. Knows no run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from ..images import read as image_reader
from .polygons import centres
from .records import AnnotatedPicture


class Yolo:
    """A .txt a picture: one line an instance, its class and a polygon in 0..1."""

    def __init__(self, place: Path, names: Sequence[str]) -> None:
        self.place = place
        self.numbers = {name: k for k, name in enumerate(names)}

    def add(self, picture: AnnotatedPicture) -> None:
        name = _name(picture.name)
        picture.place(self.place / "images" / name)
        size = picture.width, picture.height
        rows = []
        for instance in picture.instances:
            points = (centres(instance.mask) / size).ravel()
            outline = " ".join(f"{value:.6f}" for value in points)
            rows.append(f"{self.numbers[instance.label]} {outline}\n")
        label = self.place / "labels" / f"{name[: -len(picture.path.suffix)]}.txt"
        image_reader.write(label, "".join(rows).encode())

    def close(self) -> None:
        """data.yaml without `path`: readers then take the folder it lies in."""
        record = {
            "train": "images",
            "val": "images",
            "names": {number: name for name, number in self.numbers.items()},
        }
        text = "# val is train: split it as you need it.\n" + yaml.safe_dump(
            record, sort_keys=False, allow_unicode=True
        )
        image_reader.write(self.place / "data.yaml", text.encode())


def _name(name: str) -> str:
    """A picture's name; readers find labels by the last folder "images", so no other is one."""
    return "/".join(f"{part}_" if part == "images" else part for part in name.split("/"))
