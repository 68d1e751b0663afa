"""What the pages have in common: progress, captions, marked pictures. Arrays and text only."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ...images.read import PictureError, read_image
from ..queue.job_queue import JobQueue, QueuedJob

VERBS = {
    "load": "Reading",
    "generate": "Generating",
    "detect": "Detecting",
    "verify": "Verifying",
    "segment": "Masking",
    "mask": "Choosing masks",
    "rerender": "Re-rendering",
    "encode": "Encoding",
    "train": "Training",
    "caption": "Captioning",
}
_SAID = {
    "queued": "Waiting",
    "running": "Working",
    "done": "Done",
    "failed": "Failed",
    "stopped": "Stopped",
    "crashed": "Crashed",
}


def progress(job: QueuedJob | None, desk: JobQueue) -> str:
    """A job's state as HTML: a bar a stage, the remaining time, what went wrong."""
    if job is None:
        return ""
    head = "Stopping, saving first" if job.open and job.stopping else _SAID[job.status]
    if job.status == "queued":
        before = desk.ahead(job)
        head += f": {before} job{'s' * (before != 1)} before this one" if before else ""
    left = job.seconds_left
    if left is not None:
        head += f" · {duration(left)} left"
    elif job.ended and job.started:
        head += f" in {duration(job.ended - job.started)}"
    if job.status == "running" and not job.stages:
        head += f" · {job.saying or 'reading the libraries'}"
    elif job.status == "running" and job.steps and not job.order.gentle:
        head += f" · step {job.steps}"
    rows = "".join(
        f'<div class="stage"><span>{VERBS.get(name, name)}</span>'
        f'<progress max="{max(of, 1)}" value="{done}" aria-label="{VERBS.get(name, name)}">'
        f"</progress><span>{done}/{of}{_left(job, name)}</span></div>"
        for name, (done, of) in job.stages.items()
    )
    said = f'<p class="said">{escape(job.said)}</p>' if job.said else ""
    return (
        f'<div class="job {job.status}"><p class="head" role="status" aria-live="polite">'
        f"<strong>{escape(head)}</strong></p>{rows}{said}</div>"
    )


def _left(job: QueuedJob, stage: str) -> str:
    seconds = job.left(stage) if job.status == "running" else None
    return f" · {duration(seconds)}" if seconds else ""


def duration(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def caption(line: dict[str, Any]) -> str:
    """A shot in a line: its name, outcome, and the reason or the scores."""
    text = f"{line['id']} · {line['status']}"
    if line["reason"]:
        return f"{text}: {line['reason']['message']}"
    if line["error"]:
        return f"{text}: {line['error']['message']}"
    scores = ", ".join(f"{d['label']} {d['score']:.2f}" for d in line["detections"][:3])
    return f"{text} · {scores}" if scores else text


def facts(lines: Sequence[dict[str, Any]]) -> str:
    """How many shots came out how, and why those that were left out were, as HTML."""
    counts: dict[str, int] = {}
    for line in lines:
        counts[line["status"]] = counts.get(line["status"], 0) + 1
    chips = "".join(
        f'<span class="chip {status}">{status} <b>{number}</b></span>'
        for status, number in counts.items()
    )
    changed = [line["metrics"].get("changed_outside") for line in lines]
    known = [c for c in changed if c is not None]
    if known:
        chips += (
            f'<span class="chip">pixels changed outside the masks <b>{sum(known):.0f}</b></span>'
        )
    return f'<div class="chips">{chips}</div>{reasons(lines)}'


def reasons(lines: Sequence[dict[str, Any]]) -> str:
    """The shots that were skipped or failed, with why, as HTML."""
    rows = ""
    for line in lines:
        why = line["reason"] or line["error"]
        if why:
            rows += (
                f"<li><b>{escape(line['id'])}</b> {line['status']}: {escape(why['message'])}</li>"
            )
    return f'<ul class="reasons">{rows}</ul>' if rows else ""


def refused(lines: Sequence[str]) -> str:
    """Files that were left out, as HTML."""
    if not lines:
        return ""
    rows = "".join(f"<li>{escape(line)}</li>" for line in lines[:20])
    more = f"<li>and {len(lines) - 20} more</li>" if len(lines) > 20 else ""
    return f'<ul class="reasons refused" role="alert">{rows}{more}</ul>'


def read(path: Path | None, longest: int = 0) -> np.ndarray | None:
    """A picture, uint8 (H, W, 3), shrunk to `longest` pixels; None where it cannot be read."""
    if path is None:
        return None
    try:
        rgb = read_image(path).rgb
    except PictureError:
        return None
    return fit(rgb, longest) if longest else rgb


def fit(rgb: np.ndarray, longest: int) -> np.ndarray:
    """Shrunk so that the longer side has `longest` pixels, where it has more."""
    import cv2

    scale = longest / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def marked(
    image: np.ndarray,
    found: Sequence[tuple[dict[str, Any], np.ndarray]],
    *,
    longest: int = 768,
    numbers: Sequence[int] = (),
) -> np.ndarray:
    """Return the picture with each instance's mask, box, number and score; see `overlay`."""
    from ....stages.shot import Detection
    from ...reports.overlay import overlay

    detections = [
        Detection(tuple(d["box_xyxy"]), d["score"], d["label"], mask)  # type: ignore[arg-type]
        for d, mask in found
    ]
    labels = [
        f"{numbers[k] if k < len(numbers) else k + 1} {one.label} {one.score:.2f}"
        for k, one in enumerate(detections)
    ]
    return overlay(image, detections, longest=longest, labels=labels)
