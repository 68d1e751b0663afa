"""What was found in photos, chosen over by hand: threshold, instances, painted masks.

A search is a `filter` run at a low threshold; a choice from it is another run folder, with the
masks that were kept, which `visuals enhance` takes as it is. So the detector runs once and the
threshold moves over its answers. Knows files and arrays; no models, no pages.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .....checkpoints import atomic_files
from ....images.write import encode_png
from ....runs import folder as run_folder

FLOOR = 0.1
"""The score, 0..1, from which on a search keeps boxes; the slider's least."""


@dataclass(frozen=True)
class Own:
    """What one instance becomes, over what is asked for all; "" and None leave that."""

    edit: str = ""
    prompt: str = ""
    strength: float | None = None


@dataclass
class Choice:
    """`threshold` 0..1 for all photos; `off`: instances ticked off, `own`: what instances become,
    and `painted`: the mask as it was drawn over, bool (H, W), each by shot id. Instances count
    from 0."""

    threshold: float
    off: dict[str, set[int]] = field(default_factory=dict)
    own: dict[str, dict[int, Own]] = field(default_factory=dict)
    painted: dict[str, np.ndarray] = field(default_factory=dict)


def search_settings() -> dict[str, Any]:
    """The settings of a search, by dotted names."""
    return {"detect.box_threshold": FLOOR, "detect.text_threshold": FLOOR}


def above(line: Mapping[str, Any], threshold: float) -> list[int]:
    """The instances of a manifest line whose score is above `threshold`."""
    return [k for k, d in enumerate(line["detections"]) if d["score"] > threshold]


def chosen(line: Mapping[str, Any], choice: Choice) -> list[int]:
    """The instances that threshold and ticks leave."""
    off = choice.off.get(line["id"], set())
    return [k for k in above(line, choice.threshold) if k not in off]


def reason(line: Mapping[str, Any], choice: Choice) -> dict[str, str] | None:
    """Why a shot is left out by a choice; None where it stays."""
    if line["status"] == "failed":
        return {"code": "failed", "message": line["error"]["message"]}
    painted = choice.painted.get(line["id"])
    if painted is not None:
        if painted.any():
            return None
        return {"code": "no_mask", "message": "the mask was erased by hand"}
    if chosen(line, choice):
        return None
    if line["status"] == "skipped":
        said = line["reason"]["message"].replace(f"above {FLOOR:g}", f"above {choice.threshold:g}")
        return {"code": line["reason"]["code"], "message": said}
    if above(line, choice.threshold):
        return {"code": "deselected", "message": "every instance was ticked off"}
    best = max((d["score"] for d in line["detections"]), default=0.0)
    asked = " or ".join(repr(name) for name in line["classes"])
    return {
        "code": "no_detection",
        "message": f"no {asked} above {choice.threshold:g}; best {best:.2f}",
    }


def masks(folder: Path, line: Mapping[str, Any]) -> list[np.ndarray]:
    """The mask of each instance of a line, bool (H, W); raises PictureError."""
    from ....inputs.previous_run import found_in
    from ....runs.manifest import ManifestRecord

    found = found_in(folder, ManifestRecord.from_dict(line))
    return [d.mask for d in found if d.mask is not None]


def instance_masks(
    folder: Path, line: Mapping[str, Any], choice: Choice
) -> list[tuple[dict[str, Any], np.ndarray]]:
    """(detection, mask) of what is to be kept of a shot.

    A painted mask is shared out: each instance keeps what is left of its own; what was added
    goes to the instance whose box is nearest, or stands alone as one of score 1.
    """
    whole, own = masks(folder, line), choice.own.get(line["id"], {})
    kept = [
        ({**line["detections"][k], **_said(own.get(k))}, whole[k]) for k in chosen(line, choice)
    ]
    painted = choice.painted.get(line["id"])
    if painted is None:
        return kept
    if not kept:
        label = line["classes"][0] if line["classes"] else "masked"
        alone = {"label": label, "score": 1.0, "mask_score": None, "verify_score": None}
        return [(_bounded(alone, painted), painted)] if painted.any() else []
    parts = [mask & painted for _, mask in kept]
    added = painted & ~np.logical_or.reduce([mask for _, mask in kept])
    if added.any():
        far = np.stack([_distance(d["box_xyxy"], added.shape) for d, _ in kept])
        nearest = far.argmin(0)
        parts = [part | (added & (nearest == k)) for k, part in enumerate(parts)]
    return [
        (_bounded(detection, part), part)
        for (detection, _), part in zip(kept, parts, strict=True)
        if part.any()
    ]


def _said(own: Own | None) -> dict[str, Any]:
    """What of an instance's own is said, as a manifest line's detection holds it."""
    return {k: v for k, v in asdict(own).items() if v not in ("", None)} if own else {}


def select(found: Path, out: Path, choice: Choice) -> dict[str, int]:
    """Write the choice from the search `found` as a run folder; how many stay, by status."""
    from ....reports.html import write_report

    out.mkdir(parents=True)
    record = yaml.safe_load((found / "run.yaml").read_text(encoding="utf-8"))
    threshold = round(choice.threshold, 4)
    record["settings"]["detect"] |= {"box_threshold": threshold, "text_threshold": threshold}
    text = yaml.safe_dump(record, sort_keys=False, allow_unicode=True)
    atomic_files.write(out / "run.yaml", text.encode())
    counts = {"kept": 0, "skipped": 0, "failed": 0}
    written = []
    lines = {line["id"]: line for line in run_folder.read_lines(found)}
    for line in lines.values():
        new = _selected(found, out, line, choice)
        counts[new["status"]] += 1
        written.append(run_folder.to_json(new) + "\n")
    atomic_files.write(out / run_folder.NAME, "".join(written).encode())
    write_report(out)
    return counts


def _selected(found: Path, out: Path, line: dict[str, Any], choice: Choice) -> dict[str, Any]:
    new: dict[str, Any] = json.loads(json.dumps(line))
    files = new["files"]
    new["files"] = dict.fromkeys(files)
    if files["source"]:
        new["files"]["source"] = files["source"]
        (out / files["source"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found / files["source"], out / files["source"])
    new["detections"] = []
    if line["status"] == "failed":
        return new
    why = reason(line, choice)
    if why is not None:
        new["status"], new["reason"] = "skipped", why
        return new
    new["status"], new["reason"] = "kept", None
    parts = instance_masks(found, line, choice)
    union = np.logical_or.reduce([mask for _, mask in parts])
    new["files"]["mask"] = f"masks/{line['id']}.png"
    atomic_files.write(out / new["files"]["mask"], encode_png(union.astype(np.uint8) * 255))
    for number, (detection, mask) in enumerate(parts, 1):
        detection["mask_area"] = int(mask.sum())
        detection["mask"] = new["files"]["mask"]
        if len(parts) > 1:
            detection["mask"] = f"instances/{line['id']}.{number}.png"
            atomic_files.write(out / detection["mask"], encode_png(mask.astype(np.uint8) * 255))
        new["detections"].append(detection)
    return new


def _bounded(detection: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """The detection with the box round its mask, where that has changed."""
    from .....stages.regions.mask_ops import bounds

    return {**detection, "box_xyxy": list(bounds(mask) or detection["box_xyxy"])}


def _distance(box_xyxy: Collection[float], shape: tuple[int, ...]) -> np.ndarray:
    """How far each pixel lies from a box, float (H, W), in pixels; 0 inside."""
    x0, y0, x1, y1 = box_xyxy
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(np.maximum(np.maximum(x0 - x, x - x1), 0), np.maximum(y0 - y, y - y1).clip(0))
