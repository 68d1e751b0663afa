"""Hugging Face imagefolder: pictures, and `metadata.jsonl` with captions and boxes or masks.

It is loaded by `datasets.load_dataset("imagefolder", data_dir=…)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...checkpoints import atomic_files
from ..runs.jsonl import to_json
from .records import AnnotatedPicture


class ImageFolder:
    """A line a picture, with the same keys in every line; boxes are x, y, width, height.

    Args:
        folder: Where to write.
        names: Classes; not used.
        tag: Activation tag before each caption.
        masks: Write a mask of each picture in place of the boxes.
    """

    def __init__(
        self, folder: Path, names: Sequence[str] = (), *, tag: str = "", masks: bool = False
    ) -> None:
        self.folder, self.tag, self.masks = folder, tag, masks
        self.rows: list[str] = []

    def add(self, picture: AnnotatedPicture) -> None:
        name = f"images/{picture.name}"
        picture.link(self.folder / name)
        row: dict[str, Any] = {"file_name": name, "text": picture.caption(self.tag)}
        if self.masks:
            mask = f"masks/{picture.id}.png"
            row["mask_file_name"] = mask if picture.write_mask(self.folder / mask) else None
        else:
            row["objects"] = {
                "bbox": [[float(v) for v in found.box_xywh] for found in picture.instances],
                "categories": [found.label for found in picture.instances],
            }
        self.rows.append(to_json(row) + "\n")

    def close(self) -> None:
        atomic_files.write(self.folder / "metadata.jsonl", "".join(self.rows).encode())
