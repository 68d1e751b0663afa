"""What an earlier run found in its pictures: boxes and masks from its folder. Knows no models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..images import read as image_reader
from ..runs import folder as run_folder

if TYPE_CHECKING:
    import numpy as np

    from ...stages.shot import Detection


def finder(folder: Path) -> Callable[[str], tuple[Detection, ...]]:
    """Looks up what an earlier run found, by shot id, with its masks; () where it has none.

    Raises PictureError, when called, for a mask file that is gone or broken.
    """
    lines = run_folder.ManifestIndex(folder / run_folder.NAME)

    def find(id_: str) -> tuple[Detection, ...]:
        return found_in(folder, lines[id_]) if id_ in lines else ()

    return find


def found_in(folder: Path, line: Mapping[str, Any]) -> tuple[Detection, ...]:
    """The detections of a manifest line, with their masks; () where it has no mask.

    An older run folder names only the union of a shot's masks: there each box gets the
    part of the union that lies in it.
    """
    from ...stages.shot import Detection

    union = line["files"].get("mask")
    if not union:
        return ()

    def mask(detection: Mapping[str, Any]) -> np.ndarray | None:
        name = detection.get("mask", "")
        if name:
            return _read_mask(folder, name)
        if name is None:
            return None
        whole = _read_mask(folder, union)
        if len(line["detections"]) == 1:
            return whole
        return _inside(whole, detection["box_xyxy"])

    return tuple(
        Detection(
            box_xyxy=tuple(d["box_xyxy"]),
            score=d["score"],
            label=d["label"],
            mask=mask(d),
            mask_score=d["mask_score"],
            verify_score=d.get("verify_score"),
            prompt=d.get("prompt") or "",
            edit=d.get("edit") or "",
            strength=d.get("strength"),
        )
        for d in line["detections"]
    )


def _read_mask(folder: Path, name: str) -> np.ndarray:
    return image_reader.read(folder / name).rgb[..., 0] > 127


def _inside(mask: np.ndarray, box_xyxy: Sequence[float]) -> np.ndarray:
    x0, y0, x1, y1 = (max(0, int(v)) for v in box_xyxy)
    out = mask.copy()
    out[:y0], out[y1 + 1 :], out[:, :x0], out[:, x1 + 1 :] = False, False, False, False
    return out
