"""User-supplied masks in place of stage 2: one file, or a folder with the photos' names."""

from __future__ import annotations

import os
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
    """A mask is missing or does not fit its photo."""


class UserMasks:
    """A stage that gives each open shot a mask, white where to re-render.

    Args:
        path: A mask for all photos, or a folder of masks named like the photos.
        label: Class of the masked product.
    """

    batch_size = 8

    def __init__(self, path: str | Path, label: str = "") -> None:
        self.path, self.label = Path(path), label
        self._files: dict[str, Path] | None = None
        if os.path.isdir(self.path):
            found = find_files.find(self.path)
            if not found:
                raise MaskError(f"{path} holds no mask: expected pictures with the photos' names")
            self._files = {}
            for file, name in find_files.names(found, self.path).items():
                self._files.setdefault(name, file)
            for file in found:
                self._files.setdefault(_stem(file.relative_to(self.path)), file)
        elif not os.path.exists(self.path):
            raise MaskError(f"no mask {str(path)!r}: expected a picture or a folder of masks")

    @property
    def single(self) -> bool:
        """Whether one mask is for every photo."""
        return self._files is None

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Add a detection to open shots. A shot without a mask or with an empty one is skipped;
        one whose mask cannot be read or has another size fails."""
        return [self._masked(shot) if shot.open else shot for shot in shots]

    def modules(self) -> dict[str, list[object]]:
        return {}

    def file(self, shot: Shot) -> Path | None:
        """Return the mask of a shot by its id, else by its photo's name, or None."""
        if self._files is None:
            return self.path
        photo = Path(shot.path or shot.id)
        for name in (shot.id, _stem(photo), photo.stem):
            if name in self._files:
                return self._files[name]
        return None

    def check_size(self, shot: Shot) -> None:
        """Raise MaskError if mask and photo differ in size, by their headers."""
        file = self.file(shot)
        if file is not None and shot.path is not None:
            _check_size(file, read_header(file).size_wh, read_header(shot.path).size_wh)

    def _masked(self, shot: Shot) -> Shot:
        from ...stages.regions.mask_ops import bounds
        from ...stages.shot import Detection, Skip

        file = self.file(shot)
        if file is None:
            return shot.skip(Skip("no_mask", f"no mask of this name in {printable(self.path)}"))
        try:
            assert shot.image is not None
            mask = read(file)
            _check_size(file, mask.shape[1::-1], shot.image.shape[1::-1])
        except (MaskError, PictureError) as error:
            return shot.fail(error, "mask")
        box = bounds(mask)
        if box is None:
            reason = f"{printable(file)} is black; expected white where to re-render"
            return shot.skip(Skip("empty_mask", reason))
        return replace(shot, detections=(Detection(box, 1.0, self.label, mask=mask),))


def read(path: Path) -> np.ndarray:
    """Read a mask file as bool (H, W): True where it is white and opaque."""
    picture = read_image(path)
    mask = picture.rgb.mean(-1) > 127
    if picture.alpha is not None:
        mask &= picture.alpha > np.iinfo(picture.alpha.dtype).max // 2
    return np.asarray(mask)


def _check_size(file: Path, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(got) != tuple(expected):
        raise MaskError(
            f"mask {printable(file)} is {got[0]} × {got[1]}; expected the photo's "
            f"{expected[0]} × {expected[1]}; scale it"
        )


def _stem(path: Path) -> str:
    return path.with_suffix("").as_posix()
