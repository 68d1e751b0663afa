"""COCO instances: one JSON file, masks as RLE or polygons.

`file_name` is relative to the run folder, which is the image root for any COCO reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints import atomic_files
from ...configs.version import VERSION
from ..runs.jsonl import to_json
from .polygons import edges
from .records import AnnotatedPicture, Instance


class Coco:
    """Collects images and annotations; `close` writes the file."""

    def __init__(self, path: Path, names: Sequence[str], *, polygons: bool = False) -> None:
        self.path, self.polygons = path, polygons
        self.numbers = {name: k for k, name in enumerate(names, 1)}
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, picture: AnnotatedPicture) -> None:
        image = {
            "id": len(self.images) + 1,
            "file_name": picture.file_name,
            "width": picture.size_wh[0],
            "height": picture.size_wh[1],
            "caption": picture.text,
            "prompt": picture.prompt,
            "seed": picture.seed,
        }
        if picture.skipped:
            image["skipped"] = picture.skipped
        self.images.append(image)
        for instance in picture.instances:
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": image["id"],
                    "category_id": self.numbers[instance.label],
                    "segmentation": self._segmentation(instance),
                    "area": instance.area,
                    "bbox": list(instance.box_xywh),
                    "iscrowd": 0,
                    "score": instance.score,
                }
            )

    def _segmentation(self, instance: Instance) -> Any:
        if self.polygons:
            return [outline.ravel().tolist() for outline in edges(instance.mask)]
        return rle(instance.mask)

    def close(self) -> None:
        categories = [
            {"id": number, "name": name, "supercategory": "product"}
            for name, number in self.numbers.items()
        ]
        record = {
            "info": {"description": "annotations of a run", "contributor": f"visuals {VERSION}"},
            "licenses": [],
            "categories": categories,
            "images": self.images,
            "annotations": self.annotations,
        }
        atomic_files.write(self.path, f"{to_json(record)}\n".encode())


def rle(mask: np.ndarray) -> dict[str, Any]:
    """Return COCO's compressed run lengths of a bool (H, W) mask."""
    from pycocotools import mask as masks

    coded = masks.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(v) for v in coded["size"]], "counts": coded["counts"].decode("ascii")}
