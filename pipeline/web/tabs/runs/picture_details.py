"""What is known of a picture of a run, as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from ....runs.manifest import DetectionRecord, ManifestRecord
from ...error_text import public_text


def details(record: ManifestRecord) -> str:
    """Return outcome, prompt, seed, scores and reason of a shot as a list of HTML."""
    rows = "".join(
        f"<dt>{name}</dt><dd>{escape(public_text(text))}</dd>" for name, text in _rows(record)
    )
    return f'<dl class="details">{rows}</dl>'


def _rows(record: ManifestRecord) -> Iterator[tuple[str, str]]:
    yield "Picture", f"{record.id}, {record.status}"
    why = record.reason or record.error
    if why:
        yield "Reason", why.message
    if record.input:
        yield "Photo", Path(record.input).name
    if record.prompt:
        yield "Prompt", record.prompt
    if record.negative_prompt:
        yield "Negative prompt", record.negative_prompt
    if record.edit:
        yield "Edit", record.edit
    if not record.input:  # a photo's own is derived from the run's, which is what one can set
        yield "Seed", str(record.seed)
    if record.detections:
        yield "Scores", "; ".join(map(_scores, record.detections))
    for name, value in record.settings.items():
        yield "Setting", f"{name}: {value}"
    if record.seconds:
        yield "Time", f"{sum(record.seconds.values()):.1f} s"
    for note in record.notes:
        yield "Note", note


def _scores(found: DetectionRecord) -> str:
    text = f"{found.label} {found.score:.2f}"
    if found.mask_score is not None:
        text += f", mask {found.mask_score:.2f}"
    if found.verify_score is not None:
        text += f", CLIP {found.verify_score:.2f}"
    own = [found.edit, found.prompt]
    return text + "".join(f" ({words})" for words in own if words)
