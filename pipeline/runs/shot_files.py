"""The files of one shot in a run folder, and its line of the manifest.

`images/`, `sources/`, `masks/`, `instances/` (a mask of each product, where a shot has several).
Every file is written beside and renamed. Knows no other shot, no models, no terminal.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images import infotext_writer, provenance
from ..images import read as image_reader
from ..images.write import Format
from .object_store import ObjectStore, keep

if TYPE_CHECKING:
    from ...stages.shot import Detection, Shot

_OF_ONE_FILE = (errno.ENAMETOOLONG, errno.EINVAL)
"""Errors of a name, not of the disk: the run goes on."""


class ShotFiles:
    """Writes the files of shots into `path`; several threads may call `write` at once."""

    def __init__(
        self,
        path: Path | ObjectStore,
        *,
        settings: Mapping[str, Any],
        made: Mapping[str, Any] | None = None,
        output: Format | None = None,
        hashes: Mapping[str, str] | None = None,
    ) -> None:
        """`made`: what else run.yaml says (request, checkpoints, versions); without it pictures
        hold no record to be replayed from. `hashes`: A1111's, as `hashes.of` gives them."""
        self.path = path
        self.output = output or Format()
        self._settings, self._made = settings, {**(made or {}), "settings": settings}
        self._hashes = dict(hashes or {})

    def write(self, shot: Shot) -> dict[str, Any]:
        """The shot's files written, and its line. A shot that cannot be encoded fails alone;
        raises OSError where the disk takes no more."""
        try:
            return self._written(shot)
        except Exception as error:
            if isinstance(error, OSError) and error.errno not in _OF_ONE_FILE:
                raise
            bare = replace(
                shot, image=None, detections=(), control=None, blend=None, result=None, reason=None
            )
            return self._written(bare.fail(error, "write"))

    def _written(self, shot: Shot) -> dict[str, Any]:
        files = self._files(shot)
        return self._line(shot, files, self._instances(shot, files["mask"]))

    def _files(self, shot: Shot) -> dict[str, str | None]:
        files: dict[str, str | None] = dict.fromkeys(
            ("source", "mask", "blend", "control", "result")
        )

        def put(kind: str, name: str, pixels: np.ndarray, **beside: Any) -> None:
            keep(self.path, name, image_reader.png(pixels, **beside))
            files[kind] = name

        if shot.image is not None:
            final = shot.status == "kept"
            files["source"] = self._picture(shot, shot.image, shot.deep, final=final)
        if any(found.mask is not None for found in shot.detections) and shot.mask is not None:
            put("mask", f"masks/{shot.id}.png", _grey(shot.mask))
        if shot.blend is not None:
            put("blend", f"masks/{shot.id}.blend.png", _cover(shot.blend))
        if shot.control is not None:
            put("control", f"masks/{shot.id}.control.png", shot.control)
        if shot.result is not None:
            files["result"] = self._picture(shot, shot.result, shot.deep_result, final=True)
        return files

    def _picture(
        self, shot: Shot, pixels: np.ndarray, deep: np.ndarray | None, *, final: bool
    ) -> str:
        """Write a whole picture with all that stands beside it; what is final goes to `images/`
        in the run's format, a source is PNG. Returns its name."""
        output = self.output if final else Format()
        said = provenance.record(shot, self._made) if final else ""
        name = f"{'images' if final else 'sources'}/{shot.id}{output.ending}"
        data = output.encode(
            pixels if deep is None else deep,
            alpha=shot.alpha,
            icc_profile=shot.icc_profile,
            exif=shot.exif,
            text=infotext_writer.text(shot, self._settings, self._hashes) if final else "",
            lineage=said,
            xmp=provenance.xmp(shot, "" if output.exact else said) if final else b"",
        )
        keep(self.path, name, data)
        return name

    def _instances(self, shot: Shot, union: str | None) -> list[str | None]:
        """A mask file for each detection; one that stands alone has the union's.

        They lie in a folder of their own: in `masks/` the second instance of `a` would be
        the mask of a shot named `a.2`.
        """
        if union is None or len(shot.detections) == 1:
            return [union] * len(shot.detections)
        names: list[str | None] = []
        for number, found in enumerate(shot.detections, 1):
            name = None if found.mask is None else f"instances/{shot.id}.{number}.png"
            if name and found.mask is not None:
                keep(self.path, name, image_reader.png(_grey(found.mask)))
            names.append(name)
        return names

    def _line(
        self, shot: Shot, files: dict[str, str | None], masks: list[str | None]
    ) -> dict[str, Any]:
        source: Any = shot.source
        failure = shot.failure
        detections = [
            {
                "label": found.label,
                "score": round(float(found.score), 4),
                "box_xyxy": [round(float(v), 2) for v in found.box_xyxy],
                "mask_area": None if found.mask is None else int(found.mask.sum()),
                "mask_score": None
                if found.mask_score is None
                else round(float(found.mask_score), 4),
                "verify_score": None
                if found.verify_score is None
                else round(float(found.verify_score), 4),
                "mask": mask,
                **_own(found),
            }
            for found, mask in zip(shot.detections, masks, strict=True)
        ]
        return plain(
            {
                "id": shot.id,
                "input": getattr(source, "path", None),
                "content": getattr(source, "content", None),
                "prompt": getattr(source, "prompt", None),
                "negative_prompt": getattr(source, "negative_prompt", None),
                "seed": source.seed,
                "prediction": getattr(source, "prediction", None),
                "classes": list(shot.classes),
                "edit": shot.edit,
                "settings": dict(shot.settings),
                "batch": [[one.id, one.seed] for one in shot.company],
                "prompts": list(shot.prompts),
                "status": shot.status,
                "reason": None
                if shot.reason is None
                else {"code": shot.reason.code, "message": shot.reason.message},
                "notes": list(shot.notes),
                "detections": detections,
                "files": files,
                "metrics": dict(shot.metrics),
                "seconds": dict(shot.seconds),
                "error": None
                if failure is None
                else {"kind": failure.kind, "message": failure.message, "where": failure.where},
            }
        )


def _own(found: Detection) -> dict[str, Any]:
    """What stage 3 was asked of this instance alone; {} for most."""
    own = {"prompt": found.prompt, "edit": found.edit, "strength": found.strength}
    return {name: value for name, value in own.items() if value}


def _grey(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def _cover(blend: np.ndarray) -> np.ndarray:
    """Float 0..1 to 0..255, rounded up: 0 stands only where the weight is exactly 0."""
    return np.ceil(np.clip(blend, 0, 1) * 255).astype(np.uint8)


def plain(value: Any) -> Any:
    """Tuples to lists, numpy numbers to Python's, what is not finite to None."""
    if type(value) in (str, int, bool, NoneType):  # nearly all
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
