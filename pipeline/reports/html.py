"""The HTML report of a run: one page with its pictures embedded.

Source, detections and result stand side by side with scores and reasons. Pointing at a result
shows its source.
"""

from __future__ import annotations

import base64
import io
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ...checkpoints import atomic_files
from ..images.read import PictureError, read_image
from ..inputs.previous_run import found_in
from ..runs.inside_path import inside
from ..runs.manifest import NAME, ManifestRecord, read_records
from ..runs.object_store import keep
from .overlay import overlay

if TYPE_CHECKING:
    import numpy as np

    from ...stages.shot import Detection
    from ..runs.folder import RunFolder

REPORT = "report.html"
MAX_SHOTS = 400
"""Shots shown in one page, so that a browser still opens it; the manifest has all."""
_LONGEST = 512
_STATUSES = ("enhanced", "kept", "skipped", "failed")


def write_report(folder: Path, *, title: str = "") -> Path:
    """Write `report.html` into a run folder and return its path."""
    path = folder / REPORT
    page = render(folder, read_records(folder), title=title or folder.resolve().name)
    atomic_files.write(path, page.encode(errors="replace"))
    return path


def write_run_report(run: RunFolder) -> str:
    """Write the report of an open run, on its disk or in its object store; returns where it is."""
    if isinstance(run.place, Path):
        return str(write_report(run.path))
    with tempfile.TemporaryDirectory(prefix="visuals-report-") as pictures:
        names: dict[str, None] = {}
        for record in islice(read_records(run.path), MAX_SHOTS):
            masks = [record.files.mask, *(found.mask for found in record.detections)]
            shown = (record.files.source, record.files.result, *masks)
            names |= dict.fromkeys(name for name in shown if name)
        run.place.fetch(list(names), Path(pictures))
        page = render(Path(pictures), read_records(run.path), title=run.place.name)
    keep(run.place, REPORT, page.encode(errors="replace"))
    return f"{run.place}/{REPORT}"


@dataclass(frozen=True)
class _Card:
    """One shot in the page; `figures`: (name, data URI) of its pictures, the source first."""

    id: str
    status: str
    figures: list[tuple[str, str]]
    message: str
    prompt: str
    numbers: list[str]


def render(folder: Path, records: Iterable[ManifestRecord], *, title: str) -> str:
    """Return the page of a manifest whose pictures are in `folder`; records beyond those shown are
    not kept in memory."""
    from jinja2 import Environment, FileSystemLoader

    statuses: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    seconds, changed, results = 0.0, 0, False
    cards: list[_Card] = []
    for record in records:
        statuses[record.status] += 1
        seconds += sum(record.seconds.values())
        changed += int(record.metrics.get("changed_outside") or 0)
        results = results or bool(record.files.result)
        if record.reason:
            reasons[record.reason.code.replace("_", " ")] += 1
        if len(cards) < MAX_SHOTS:
            cards.append(_card(folder, record))
    counts = [(name, statuses[name]) for name in _STATUSES if statuses[name]]
    total = statuses.total()
    facts: list[tuple[str, object]] = [("pictures", total), *counts]
    if results:
        facts.append(("pixels changed outside the masks", changed))
    if total:
        facts.append(("seconds a picture", f"{seconds / total:.1f}"))
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return environment.get_template(f"{REPORT}.j2").render(
        title=title,
        facts=facts,
        reasons=", ".join(f"{code}: {count}" for code, count in reasons.most_common()),
        filters=[("all", total), *counts],
        cards=cards,
        total=total,
        manifest=NAME,
    )


def _card(folder: Path, record: ManifestRecord) -> _Card:
    figures = []
    source = _read(folder, record.files.source)
    if source is not None:
        figures.append(("source", _uri(source)))
        if record.detections:
            labels = [number.strip() for number in _ordinals(record)]
            marked = overlay(
                source,
                _detections(folder, record),
                longest=_LONGEST,
                labels=labels,
                font_size=_LONGEST // 16,
            )
            figures.append(("found", _uri(marked)))
        result = _read(folder, record.files.result)
        if result is not None:
            figures.append(("result", _uri(result)))
    message, error = record.reason.message if record.reason else "", record.error
    if error:
        message = error.message if error.where == "load" else f"{error.where}: {error.message}"
    prompt = record.prompt or record.input or ""
    return _Card(
        id=record.id,
        status=record.status if record.status in _STATUSES else "failed",
        figures=figures,
        message=message,
        prompt=f"{prompt} → {record.edit}" if record.edit else prompt,
        numbers=_numbers(record),
    )


def _detections(folder: Path, record: ManifestRecord) -> list[Detection]:
    """The detections with their masks, or without them where a file cannot be read."""
    from ...stages.shot import Detection

    try:
        found = found_in(folder, record)
    except PictureError:
        found = ()
    return list(found) or [
        Detection(box_xyxy=one.box_xyxy, score=one.score, label=one.label)
        for one in record.detections
    ]


def _numbers(record: ManifestRecord) -> list[str]:
    numbers = []
    for ordinal, found in zip(_ordinals(record), record.detections, strict=True):
        mask = "" if found.mask_score is None else f", mask {found.mask_score:.2f}"
        numbers.append(f"{ordinal}{found.label} {found.score:.2f}{mask}")
    for name, text in (
        ("edge_iou", "edges kept {:.2f}"),
        ("changed_outside", "changed outside {:.0f}"),
        ("attempts", "attempt {:.0f}"),
    ):
        value = record.metrics.get(name)
        if value is not None and (value or name != "attempts"):
            numbers.append(text.format(value))
    return [*numbers, f"seed {record.seed}", f"{sum(record.seconds.values()):.1f} s"]


def _ordinals(record: ManifestRecord) -> list[str]:
    """Return `1 `, `2 ` … where there are several detections to tell apart."""
    count = len(record.detections)
    return [f"{number} " if count > 1 else "" for number in range(1, count + 1)]


def _read(folder: Path, name: str | None) -> np.ndarray | None:
    try:
        return read_image(inside(folder, name)).on_white if name else None
    except PictureError:
        return None


def _uri(rgb: np.ndarray) -> str:
    """Return a data URI: a PNG up to 256 px, above that a JPEG of at most 512 px."""
    from PIL import Image

    image = Image.fromarray(rgb)
    image.thumbnail((_LONGEST, _LONGEST))
    out = io.BytesIO()
    kind = "PNG" if max(rgb.shape[:2]) <= 256 else "JPEG"
    image.save(out, kind, **({"compress_level": 4} if kind == "PNG" else {"quality": 88}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
