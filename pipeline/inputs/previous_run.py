"""Detections of a previous run: boxes and masks, read from its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..images.masks import read_mask
from ..runs.inside_path import inside
from ..runs.manifest import NAME, DetectionRecord, ManifestIndex, ManifestRecord

if TYPE_CHECKING:
    import numpy as np

    from ...stages.shot import Detection


def finder(folder: Path) -> Callable[[str], tuple[Detection, ...]]:
    """Return a function that looks up the detections of a run by shot id, () if there are none.

    It raises PictureError for a mask file that is missing or broken.
    """
    records = ManifestIndex(folder / NAME)
    return lambda id_: found_in(folder, records[id_]) if id_ in records else ()


def found_in(folder: Path, record: ManifestRecord) -> tuple[Detection, ...]:
    """Return the detections of a manifest record with their masks; () for a record without masks.

    Run folders of version 1 hold only the union of a shot's masks: each box gets its part of it.
    """
    from ...stages.shot import Detection

    union = record.files.mask
    if not union:
        return ()

    def mask(found: DetectionRecord) -> np.ndarray | None:
        if found.mask:
            return _read_mask(folder, found.mask)
        if found.mask is None:
            return None
        whole = _read_mask(folder, union)
        return whole if len(record.detections) == 1 else _inside(whole, found.box_xyxy)

    return tuple(
        Detection(
            box_xyxy=found.box_xyxy,
            score=found.score,
            label=found.label,
            mask=mask(found),
            mask_score=found.mask_score,
            verify_score=found.verify_score,
            prompt=found.prompt,
            edit=found.edit,
            strength=found.strength,
        )
        for found in record.detections
    )


def _read_mask(folder: Path, name: str) -> np.ndarray:
    return read_mask(inside(folder, name)) > 127


def _inside(mask: np.ndarray, box_xyxy: Sequence[float]) -> np.ndarray:
    x0, y0, x1, y1 = (max(0, int(v)) for v in box_xyxy)
    out = mask.copy()
    out[:y0], out[y1 + 1 :], out[:, :x0], out[:, x1 + 1 :] = False, False, False, False
    return out
