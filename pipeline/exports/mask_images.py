"""Mask images: a grey PNG a picture, 255 on any product, 0 elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .records import AnnotatedPicture


class MaskImages:
    """A mask is named by its picture's id. Masks of instances are in the run folder."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder

    def add(self, picture: AnnotatedPicture) -> None:
        picture.write_mask(self.folder / f"{picture.id}.png", empty=True)

    def close(self) -> None:
        self.folder.mkdir(exist_ok=True)
