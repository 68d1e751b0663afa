"""The files of one shot in a run folder: images/, sources/, masks/, instances/.

instances/ has a mask of each product, where a shot has several. Files are written atomically.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images import provenance
from ..images.infotext import format_infotext
from ..images.write import Format, encode_png
from .manifest import FileNames, ManifestRecord
from .object_store import ObjectStore, keep

if TYPE_CHECKING:
    from ...stages.shot import Shot

FOLDERS = ("images", "sources", "masks", "instances")
"""Folders that the files of shots are in."""
_NAME_ERRORS = (errno.ENAMETOOLONG, errno.EINVAL)
"""Errors of one file's name, not of the disk: the run continues."""


class ShotFiles:
    """Writes the files of shots. Several threads may call `write` at once.

    Args:
        path: the run folder, on a disk or in an object store.
        settings: the settings of the run as plain values, for the infotext of pictures.
        record: the contents of run.yaml, which pictures hold so that they can be replayed;
            without it they hold none.
        output: format of the pictures that are kept.
        hashes: short model hashes for the infotext, as A1111 writes them.
    """

    def __init__(
        self,
        path: Path | ObjectStore,
        *,
        settings: Mapping[str, Any],
        record: Mapping[str, Any] | None = None,
        output: Format | None = None,
        hashes: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.output = output or Format()
        self._settings, self._record = settings, {**(record or {}), "settings": settings}
        self._hashes = dict(hashes or {})

    def write(self, shot: Shot) -> ManifestRecord:
        """Write the shot's files and return its record. A shot that cannot be encoded fails alone.

        Raises:
            OSError: the disk takes no more.
        """
        try:
            return self._write(shot)
        except Exception as error:
            if isinstance(error, OSError) and error.errno not in _NAME_ERRORS:
                raise
            bare = replace(
                shot, image=None, detections=(), control=None, blend=None, result=None, reason=None
            )
            return self._write(bare.fail(error, "write"))

    def _write(self, shot: Shot) -> ManifestRecord:
        left_out: list[str] = []
        files = self._write_files(shot, left_out)
        notes = [f"{what} left out: too large for {self.output.name}" for what in left_out]
        shot = replace(shot, notes=(*shot.notes, *notes))
        return ManifestRecord.from_shot(shot, files, self._write_instances(shot, files.mask))

    def _write_files(self, shot: Shot, left_out: list[str]) -> FileNames:
        files: dict[str, str] = {}

        def put(kind: str, name: str, pixels: np.ndarray) -> None:
            keep(self.path, name, encode_png(pixels))
            files[kind] = name

        if shot.image is not None:
            final = shot.status == "kept"
            files["source"] = self._write_picture(
                shot, shot.image, shot.image16, left_out, final=final
            )
        if any(found.mask is not None for found in shot.detections) and shot.mask is not None:
            put("mask", f"masks/{shot.id}.png", _grey(shot.mask))
        if shot.blend is not None:
            put("blend", f"masks/{shot.id}.blend.png", _cover(shot.blend))
        if shot.control is not None:
            put("control", f"masks/{shot.id}.control.png", shot.control)
        if shot.result is not None:
            files["result"] = self._write_picture(
                shot, shot.result, shot.result16, left_out, final=True
            )
        return FileNames(**files)

    def _write_picture(
        self,
        shot: Shot,
        pixels: np.ndarray,
        deep: np.ndarray | None,
        left_out: list[str],
        *,
        final: bool,
    ) -> str:
        """Write a picture with its metadata and return its name.

        Args:
            shot: the shot.
            pixels: uint8 (H, W, 3).
            deep: the same as uint16, where the source has 16 bits a sample.
            left_out: receives what the format has no room for.
            final: whether it is the shot's last picture, which goes to `images/` in the run's
                format and holds the record of how it was made; a source is a plain PNG.
        """
        output = self.output if final else Format()
        origin = provenance.record(shot, self._record) if final else ""
        name = f"{'images' if final else 'sources'}/{shot.id}{output.ending}"
        data = output.encode(
            pixels if deep is None else deep,
            alpha=shot.alpha,
            icc_profile=shot.icc_profile,
            exif=shot.exif,
            text=format_infotext(shot, self._settings, self._hashes) if final else "",
            lineage=origin,
            xmp=provenance.xmp(shot, "" if output.exact else origin) if final else b"",
            left_out=left_out,
        )
        keep(self.path, name, data)
        return name

    def _write_instances(self, shot: Shot, union: str | None) -> list[str | None]:
        """Write a mask file for each detection; a single one shares the file of the union.

        They have a folder of their own: in `masks/` the second instance of `a` would be
        the mask of a shot named `a.2`.
        """
        if union is None or len(shot.detections) == 1:
            return [union] * len(shot.detections)
        names: list[str | None] = []
        for number, found in enumerate(shot.detections, 1):
            name = None if found.mask is None else f"instances/{shot.id}.{number}.png"
            if name and found.mask is not None:
                keep(self.path, name, encode_png(_grey(found.mask)))
            names.append(name)
        return names


def _grey(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def _cover(blend: np.ndarray) -> np.ndarray:
    """Convert 0..1 to 0..255, rounded up: 0 only where the weight is exactly 0."""
    return np.ceil(np.clip(blend, 0, 1) * 255).astype(np.uint8)
