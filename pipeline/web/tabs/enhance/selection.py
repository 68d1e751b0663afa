"""Selection among the detections of a search: threshold, instances, painted masks.

A search is a `filter` run at a low threshold; a selection from it is another run folder, with the
masks that were kept, which `visuals enhance` takes as it is. So the detector runs once, and the
threshold moves over its scores.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import field, replace
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass

from .....checkpoints import atomic_files
from .....stages.prompts.instance_prompts import SKIP
from .....stages.regions.mask_ops import bounds
from .....stages.shot import Detection, Skip
from ....images.write import encode_png
from ....inputs.previous_run import found_in
from ....reports.html import write_report
from ....runs import run_yaml
from ....runs.inside_path import inside
from ....runs.manifest import NAME, DetectionRecord, FileNames, ManifestRecord, last_records

FLOOR = 0.1
"""Least score, 0..1, of the boxes that a search keeps; the slider's minimum."""
SEARCH_SETTINGS = {"detect.box_threshold": FLOOR, "detect.text_threshold": FLOOR}
"""Settings of a search, by dotted name."""
REMEDIES = {
    "no_detection": "lower the threshold, or look for another class",
    "deselected": "tick an instance",
    "no_mask": "every mask was erased: press Undo all, or paint one",
    "no_edit": "give an instance that is kept an edit",
}
"""What to do, by the codes of the reasons why shots are left out."""


@dataclass(frozen=True)
class Overrides:
    """Edit, prompt and strength of one instance; "" and None leave those of all instances."""

    edit: str = ""
    prompt: str = ""
    strength: float | None = None


@dataclass(config={"arbitrary_types_allowed": True})
class Selection:
    """What is kept of a search.

    Args:
        threshold: least score, 0..1, in all photos.
        off: instances that were ticked off, counted from 0, by shot id.
        overrides: edits of single instances, by shot id.
        painted: masks that were painted by hand, bool (H, W), by shot id.
        edited_only: leave out the instances that have no edit of their own.
    """

    threshold: float
    off: dict[str, set[int]] = field(default_factory=dict)
    overrides: dict[str, dict[int, Overrides]] = field(default_factory=dict)
    painted: dict[str, np.ndarray] = field(default_factory=dict)
    edited_only: bool = False

    def has_edits(self) -> bool:
        """Return whether any instance has an edit or a prompt of its own."""
        return any(self._has_edit(id_, k) for id_, own in self.overrides.items() for k in own)

    def _has_edit(self, id_: str, number: int) -> bool:
        own = self.overrides.get(id_, {}).get(number, Overrides())
        return bool(own.edit or own.prompt) and own.prompt.strip() != SKIP

    def above(self, record: ManifestRecord) -> list[int]:
        """Return the numbers of the instances whose score is above the threshold."""
        return [k for k, found in enumerate(record.detections) if found.score > self.threshold]

    def chosen(self, record: ManifestRecord) -> list[int]:
        """Return the numbers of the instances that threshold and ticks leave."""
        off = self.off.get(record.id, set())
        return [k for k in self.above(record) if k not in off]

    def reason(self, record: ManifestRecord) -> Skip | None:
        """Return why a shot is left out; None where it stays."""
        why = self._reason(record)
        edited = any(self._has_edit(record.id, k) for k in self.chosen(record))
        if why is None and self.edited_only and not edited:
            return Skip("no_edit", "no edit of its own")
        return why

    def _reason(self, record: ManifestRecord) -> Skip | None:
        if record.error:
            photo, text = Path(record.input or "."), record.error.message
            return Skip("failed", text.replace(str(photo), photo.name) if photo.name else text)
        threshold = f"{self.threshold:g}"
        painted = self.painted.get(record.id)
        if painted is not None:
            return None if painted.any() else Skip("no_mask", "the mask was erased by hand")
        if self.chosen(record):
            return None
        if record.reason:
            message = record.reason.message.replace(f"above {FLOOR:g}", f"above {threshold}")
            return Skip(record.reason.code, message)
        if self.above(record):
            return Skip("deselected", "every instance was ticked off")
        best = max((found.score for found in record.detections), default=0.0)
        names = " or ".join(map(repr, record.classes))
        return Skip("no_detection", f"no {names} above {threshold}; best {best:.2f}")

    def instances(self, folder: Path, record: ManifestRecord) -> list[Detection]:
        """Return the detections, with masks, that are kept of a shot; raises PictureError.

        A painted mask is divided: each instance keeps what is left of its mask; what was added goes
        to the instance whose box is nearest, or becomes an instance with score 1.
        """
        found = found_in(folder, record)
        overrides = self.overrides.get(record.id, {})
        kept = []
        for k in self.chosen(record):
            mine = overrides.get(k, Overrides())
            given = {name: value for name, value in vars(mine).items() if value not in ("", None)}
            if self.edited_only and not self._has_edit(record.id, k):
                given["prompt"] = SKIP
            kept.append(replace(found[k], **given))
        painted = self.painted.get(record.id)
        if painted is None:
            return kept
        if not kept:
            box, label = bounds(painted), next(iter(record.classes), "masked")
            return [Detection(box, 1.0, label, painted)] if box else []
        parts = [mask & painted for mask in masks(kept)]
        added = painted & ~np.logical_or.reduce(masks(kept))
        if added.any():
            distances = np.stack([_distance(one.box_xyxy, added.shape) for one in kept])
            nearest = distances.argmin(0)
            parts = [part | (added & (nearest == k)) for k, part in enumerate(parts)]
        return [_bounded(one, part) for one, part in zip(kept, parts, strict=True) if part.any()]


def remedy(selection: Selection, records: Iterable[ManifestRecord]) -> str:
    """Return what to do where no shot is kept; "" where one is."""
    reasons = [selection.reason(record) for record in records]
    left_out = {why.code: why.message for why in reasons if why}
    return "" if None in reasons else "; ".join(REMEDIES.get(*why) for why in left_out.items())


def masks(found: Sequence[Detection]) -> list[np.ndarray]:
    """Return the masks of detections that have one."""
    return [one.mask for one in found if one.mask is not None]


def write_selection(
    found: Path, out: Path, selection: Selection, ids: Collection[str] | None = None
) -> Counter[str]:
    """Write the selection from the search `found` as a run folder; return shots by status.

    With `ids` of these shots alone.
    """
    out.mkdir(parents=True)
    run = run_yaml.read(found)
    threshold = round(selection.threshold, 4)
    run["settings"]["detect"] |= {"box_threshold": threshold, "text_threshold": threshold}
    run_yaml.write(out, run)
    records = [
        _selected(found, out, record, selection)
        for record in last_records(found)
        if ids is None or record.id in ids
    ]
    lines = "".join(record.to_json() + "\n" for record in records)
    atomic_files.write(out / NAME, lines.encode())
    write_report(out)
    return Counter(record.status for record in records)


def _selected(
    found: Path, out: Path, record: ManifestRecord, selection: Selection
) -> ManifestRecord:
    source = record.files.source
    if source:
        (out / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(inside(found, source), out / source)
    files = FileNames(source=source)
    why = selection.reason(record)
    if why is not None:
        changes = {} if record.error else {"status": "skipped", "reason": why}
        return record.model_copy(update={"files": files, "detections": (), **changes})
    kept = selection.instances(found, record)

    def write(name: str, mask: np.ndarray) -> str:
        atomic_files.write(out / name, encode_png(mask.astype(np.uint8) * 255))
        return name

    union = write(f"masks/{record.id}.png", np.logical_or.reduce(masks(kept)))
    names = [union]
    if len(kept) > 1:
        names = [
            write(f"instances/{record.id}.{k}.png", mask) for k, mask in enumerate(masks(kept), 1)
        ]
    detections = tuple(map(DetectionRecord.from_detection, kept, names))
    changes = {"status": "kept", "reason": None, "detections": detections}
    return record.model_copy(update={**changes, "files": files.model_copy(update={"mask": union})})


def _bounded(found: Detection, mask: np.ndarray) -> Detection:
    """Return the detection with a mask and the box around it."""
    return replace(found, mask=mask, box_xyxy=bounds(mask) or found.box_xyxy)


def _distance(box_xyxy: Collection[float], shape: tuple[int, ...]) -> np.ndarray:
    """Return how far each pixel lies from a box, float (H, W), in pixels; 0 inside."""
    x0, y0, x1, y1 = box_xyxy
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(np.maximum(np.maximum(x0 - x, x - x1), 0), np.maximum(y0 - y, y - y1).clip(0))
