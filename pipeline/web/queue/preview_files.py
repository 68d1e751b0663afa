"""Small pictures of shots that are still at work, below a run folder until its job has ended."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from ....stages.shot import Shot
from ...images.write import Format
from ...reports.overlay import overlay

FOLDER = ".previews"
LONGEST = 384
STAGES = {"generate": "drawn", "detect": "found", "segment": "masked", "mask": "masked"}
"""What a stage has done, for captions."""


def write(folder: Path, stage: str, shot: Shot) -> dict[str, str]:
    """Write what a stage made of a shot with a picture, in place of what an earlier one did.

    Returns:
        The shot's `id`, the name of the `file` below FOLDER, a `caption`.
    """
    assert shot.image is not None
    key = hashlib.sha256(shot.id.encode(errors="surrogateescape")).hexdigest()[:16]
    out = folder / FOLDER / f"{key}-{stage}.jpg"
    found = () if stage == "generate" else shot.detections
    picture = overlay(shot.image, found, longest=LONGEST)
    for old in out.parent.glob(f"{key}-*"):
        old.unlink(missing_ok=True)
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(Format("jpeg").encode(picture))
    scores = ", ".join(f"{one.label} {one.score:.2f}" for one in found[:3])
    parts = [STAGES[stage], scores] if shot.reason is None else [f"skipped: {shot.reason.message}"]
    return {"id": shot.id, "file": out.name, "caption": " · ".join(filter(None, [shot.id, *parts]))}


def remove(folder: Path) -> None:
    """Delete the previews of a run."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
