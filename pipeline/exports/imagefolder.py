"""Hugging Face imagefolder: pictures, and `metadata.jsonl` with captions and boxes.

It is loaded by `datasets.load_dataset("imagefolder", data_dir=…)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...checkpoints import atomic_files
from ..runs.jsonl import to_json
from .records import AnnotatedPicture


class ImageFolder:
    """A line a picture, with the same keys in every line; boxes are x, y, width, height."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.rows: list[str] = []

    def add(self, picture: AnnotatedPicture) -> None:
        name = f"images/{picture.name}"
        picture.link(self.folder / name)
        row = {
            "file_name": name,
            "text": picture.text,
            "objects": {
                "bbox": [[float(v) for v in found.box_xywh] for found in picture.instances],
                "categories": [found.label for found in picture.instances],
            },
        }
        self.rows.append(to_json(row) + "\n")

    def close(self) -> None:
        atomic_files.write(self.folder / "metadata.jsonl", "".join(self.rows).encode())
