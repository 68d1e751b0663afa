"""A 🤗 imagefolder: pictures and `metadata.jsonl` with captions and boxes. Knows no run folder.

Loads by `datasets.load_dataset("imagefolder", data_dir=…)`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..images import read as image_reader
from .records import AnnotatedPicture


class ImageFolder:
    """A line a picture, with the same keys in every line; boxes are x, y, width, height."""

    def __init__(self, place: Path, names: Sequence[str]) -> None:
        self.place = place
        self.rows: list[str] = []

    def add(self, picture: AnnotatedPicture) -> None:
        name = f"images/{picture.name}"
        picture.place(self.place / name)
        row = {
            "file_name": name,
            "text": picture.text,
            "objects": {
                "bbox": [[float(v) for v in found.box_xywh] for found in picture.instances],
                "categories": [found.label for found in picture.instances],
            },
        }
        self.rows.append(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        image_reader.write(self.place / "metadata.jsonl", "".join(self.rows).encode())
