"""User-supplied masks in place of stage 2: one file, or a folder with the photos' names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..images.masks import MaskError, check_size, match_masks, read_mask
from ..images.read import PictureError, printable, read_header
from . import find_files
from .lazy_shots import ShotName

if TYPE_CHECKING:
    from ...stages.shot import Shot


class UserMasks:
    """A stage that gives each open shot a mask, white where to re-render.

    Args:
        path: A mask for all photos, or a folder of masks named like the photos.
        label: Class of the masked product.
        names: The shots of the run; the mask of a shot has the path of its id, else the stem of
            its photo (see `match_masks`).
    """

    batch_size = 8

    def __init__(self, path: str | Path, label: str = "", names: Sequence[ShotName] = ()) -> None:
        self.path, self.label = Path(path), label
        self._files: dict[str, Path] | None = None
        if os.path.isdir(self.path):
            found = find_files.find(self.path)
            if not found:
                raise MaskError(f"{path} holds no mask: expected pictures with the photos' names")
            flat = not any("/" in name.id for name in names)
            deepest = max(len(file.relative_to(self.path).parts) for file in found) if flat else 1
            places = {name.path or name.id: self._places(name, deepest) for name in names}
            self._files = match_masks(places, found)
        elif not os.path.exists(self.path):
            raise MaskError(f"no mask {str(path)!r}: expected a picture or a folder of masks")

    def _places(self, name: ShotName, deepest: int) -> list[Path]:
        """Where a shot's mask may be. The ids of photos of one folder do not say which folder that
        is: the ends of their paths, of up to `deepest` parts, do."""
        path = Path(os.path.abspath(name.path or name.id)).with_suffix("")
        ends = [self.path.joinpath(*path.parts[-count:]) for count in range(deepest, 1, -1)]
        return [*ends, self.path / name.id, Path(path.name)]

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
        """Return the mask of a shot, or None."""
        return self.path if self._files is None else self._files.get(shot.path or shot.id)

    @property
    def missing(self) -> str:
        """Why a shot has no mask."""
        return f"not exactly one mask of this name in {printable(self.path)}"

    def check_size(self, shot: Shot) -> None:
        """Raise MaskError if mask and photo differ in size, by their headers."""
        file = self.file(shot)
        if file is not None and shot.path is not None:
            check_size(file, read_header(file).size_wh, read_header(shot.path).size_wh)

    def _masked(self, shot: Shot) -> Shot:
        from ...stages.regions.mask_ops import bounds
        from ...stages.shot import Detection, Skip

        file = self.file(shot)
        if file is None:
            return shot.skip(Skip("no_mask", self.missing))
        try:
            assert shot.image is not None
            mask = read_mask(file, shot.image.shape[1::-1]) > 127
        except PictureError as error:
            return shot.fail(error, "mask")
        box = bounds(mask)
        if box is None:
            reason = f"{printable(file)} is black; expected white where to re-render"
            return shot.skip(Skip("empty_mask", reason))
        return replace(shot, detections=(Detection(box, 1.0, self.label, mask=mask),))
