"""Plain masks: a grey PNG a picture, 255 on any product, 0 elsewhere. Knows no run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..images import read as image_reader
from .records import AnnotatedPicture


class MaskImages:
    """A mask has the id of its picture as its name; those of instances are in the run folder."""

    def __init__(self, place: Path, names: Sequence[str]) -> None:
        self.place = place

    def add(self, picture: AnnotatedPicture) -> None:
        union = np.zeros((picture.height, picture.width), np.uint8)
        for instance in picture.instances:
            union[instance.mask] = 255
        image_reader.write(self.place / f"{picture.id}.png", image_reader.png(union))

    def close(self) -> None:
        self.place.mkdir(exist_ok=True)
