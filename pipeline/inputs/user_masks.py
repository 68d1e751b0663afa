"""Masks of the user's own in place of stage 2: white is what is re-rendered.

Reads one mask file, or a folder of masks with the photos' names. Knows no models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...configs.errors import UsageError
from ..images.read import PictureError, printable, read_header, read_image
from . import find_files

if TYPE_CHECKING:
    from ...stages.shot import Shot


class MaskError(UsageError):
    """A mask that does not fit its photo; the message says got, expected, remedy."""


class UserMasks:
    """A stage that gives each open shot the mask of its name. `label`: the class in it."""

    batch_size = 8

    def __init__(self, path: str | Path, label: str = "") -> None:
        self.path, self.label = Path(path), label
        self._files: dict[str, Path] | None = None
        if self.path.is_dir():
            found = find_files.find(self.path)
            if not found:
                raise MaskError(f"{path} holds no mask: expected pictures with the photos' names")
            self._files = {}
            for file, name in find_files.names(found, self.path).items():
                self._files.setdefault(name, file)
            for file in found:
                self._files.setdefault(_stem(file.relative_to(self.path)), file)
        elif not self.path.exists():
            raise MaskError(f"no mask {str(path)!r}: expected a picture or a folder of masks")

    @property
    def single(self) -> bool:
        """One mask for every photo."""
        return self._files is None

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots get a detection, are skipped where there is nothing to re-render, and fail
        where the mask cannot be read or has another size."""
        return [self._masked(shot) if shot.open else shot for shot in shots]

    def modules(self) -> dict[str, list[object]]:
        """It runs no models."""
        return {}

    def file(self, shot: Shot) -> Path | None:
        """The mask of a shot: by its id, else by its photo's name; None where there is none."""
        if self._files is None:
            return self.path
        photo = Path(getattr(shot.source, "path", shot.id))
        for name in (shot.id, _stem(photo), photo.stem):
            if name in self._files:
                return self._files[name]
        return None

    def check_size(self, shot: Shot) -> None:
        """Raises MaskError where mask and photo differ in size; reads their headers only."""
        file, photo = self.file(shot), getattr(shot.source, "path", None)
        if file is not None and photo is not None:
            _same(file, read_header(file).size_wh, read_header(photo).size_wh)

    def _masked(self, shot: Shot) -> Shot:
        from ...stages.shot import Detection, Skip

        file = self.file(shot)
        if file is None:
            why = f"no mask of this name in {printable(self.path)}"
            return shot.skip(Skip("no_mask", why))
        try:
            assert shot.image is not None
            mask = read(file)
            _same(file, mask.shape[1::-1], shot.image.shape[1::-1])
        except (MaskError, PictureError) as error:
            return shot.fail(error, "mask")
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            why = f"{printable(file)} is black; expected white where to re-render"
            return shot.skip(Skip("empty_mask", why))
        box = (
            float(columns[0]),
            float(rows[0]),
            float(columns[-1] + 1),
            float(rows[-1] + 1),
        )
        return replace(shot, detections=(Detection(box, 1.0, self.label, mask=mask),))


def read(path: Path) -> np.ndarray:
    """A mask file as bool (H, W), True where it is white; what is transparent is not white."""
    picture = read_image(path)
    mask = picture.rgb.mean(-1) > 127
    if picture.alpha is not None:
        mask &= picture.alpha > np.iinfo(picture.alpha.dtype).max // 2
    return np.asarray(mask)


def _same(file: Path, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(got) != tuple(expected):
        raise MaskError(
            f"mask {printable(file)} is {got[0]} × {got[1]}; expected the photo's "
            f"{expected[0]} × {expected[1]}; scale it"
        )


def _stem(path: Path) -> str:
    return path.with_suffix("").as_posix()
