"""Runs and their pictures as cards to press, as HTML. Pictures are the API's small ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from ....runs.manifest import ManifestRecord
from ...error_text import public_text
from ...files.run_folders import OUTCOMES, RunSummary
from ...files.run_overview import RunOverview
from ...queue.job_queue import QueuedJob

EMPTY = (
    '<p class="said">No runs yet. Press <b>Make pictures</b> in Create, or drop photos in '
    "Enhance and press <b>Find</b>: each job becomes a run here.</p>"
)
NO_MATCH = '<p class="said">No run with these words: search for a class, an edit or a prompt.</p>'
KINDS = {
    "run": "made",
    "generate": "drawn",
    "filter": "masked",
    "enhance": "re-rendered",
    "replay": "replayed",
}
"""What became of the pictures of a run, by its command."""


def component(elem_id: str) -> Any:
    """Return a place for cards; its event `select` carries the `key` of the one pressed."""
    script = Path(__file__).with_suffix(".js").read_text("utf-8")
    return gr.HTML(js_on_load=script, apply_default_css=False, padding=False, elem_id=elem_id)


def of_runs(runs: Sequence[RunOverview], jobs: dict[str, QueuedJob]) -> str:
    """Return a card a run."""
    cards = "".join(_run_card(run, jobs.get(run.id)) for run in runs)
    return f'<div class="cards">{cards}</div>'


def of_pictures(run: RunSummary, records: Sequence[ManifestRecord]) -> str:
    """Return a small picture a shot; the first is marked."""
    cards = "".join(_picture_card(run, one, one is records[0]) for one in records)
    return f'<div class="cards small">{cards}</div>'


def status(run: RunOverview, job: QueuedJob | None) -> str:
    """Return how a run ended where pictures are missing, or what its job does; else ""."""
    if job is not None and job.open:
        return "working" if job.status == "running" else "waiting"
    if run.finished or run.problem:
        return ""
    return job.status if job is not None and job.status != "done" else "not finished"


def title(run: RunOverview) -> str:
    """Return the classes of a run in a line."""
    return ", ".join(run.classes) or KINDS.get(run.command, "run")


def facts(run: RunOverview, job: QueuedJob | None) -> str:
    """Return state, shots by outcome and seed as HTML."""
    state = status(run, job)
    chips = f'<span class="chip state">{state}</span>' if state else ""
    for outcome in OUTCOMES:
        if run.counts.get(outcome):
            chips += f'<span class="chip {outcome}">{outcome} <b>{run.counts[outcome]}</b></span>'
    if run.seed is not None:
        chips += f'<span class="chip">seed <b>{run.seed}</b></span>'
    return chips


def head(run: RunOverview, job: QueuedJob | None, has_report: bool) -> str:
    """Return what a run is and its files, to stand above its pictures."""
    base = f"api/runs/{quote(run.id)}"
    report = f'<a href="{base}/files/report.html" target="_blank">Report</a>' if has_report else ""
    return (
        f'<div class="run-head"><h2>{escape(title(run))}</h2>'
        f"<p>{when(run)} · {escape(run.id)}</p>"
        f'<p class="words">{escape(run.words)}</p><div class="chips">{facts(run, job)}</div>'
        f'<p class="links"><a href="{base}/zip" id="runs-zip" download>Download zip</a>{report}'
        f'<a href="{base}/files/manifest.jsonl" target="_blank">Manifest</a></p></div>'
    )


def question(run: RunOverview) -> str:
    """Return what is asked before a run is deleted."""
    number = sum(run.counts.values())
    what = f"{number} picture{'s' * (number != 1)}"
    return (
        f'<p class="said" role="status">Delete the run <b>{escape(run.id)}</b> with its {what}? '
        "That cannot be undone.</p>"
    )


def when(run: RunOverview) -> str:
    """Return what was done and when, in a line."""
    then, now = time.localtime(run.changed), time.localtime()
    day = time.strftime("%d %b" if then.tm_year == now.tm_year else "%d %b %Y", then)
    return f"{KINDS.get(run.command, 'run')} · {day}, {time.strftime('%H:%M', then)}"


def _run_card(run: RunOverview, job: QueuedJob | None) -> str:
    images = "".join(_image(run.id, shot, "") for shot in run.pictures)
    words = public_text(run.problem) if run.problem else run.words
    return (
        f'<button type="button" class="card" data-key="{escape(run.id)}">'
        f'<span class="pictures n{len(run.pictures)}">{images or "no pictures"}</span>'
        f'<span class="title">{escape(title(run))}</span>'
        f'<span class="when">{when(run)}</span>'
        f'<span class="words">{escape(words)}</span>'
        f'<span class="facts">{facts(run, job)}</span></button>'
    )


def _picture_card(run: RunSummary, record: ManifestRecord, is_picked: bool) -> str:
    there = run.shown_picture(record) is not None
    image = _image(run.id, record.id, record.id) if there else "no picture"
    return (
        f'<button type="button" class="card" data-key="{escape(record.id)}" '
        f'aria-pressed="{str(is_picked).lower()}"><span class="pictures n1">{image}</span>'
        f'<span class="when">{escape(record.id)}</span>'
        f'<span class="chip {record.status}"><b>{record.status}</b></span></button>'
    )


def _image(id_: str, shot: str, alt: str) -> str:
    address = f"api/runs/{quote(id_)}/thumbnails/{quote(shot)}"
    return f'<img src="{address}" alt="{escape(alt)}" loading="lazy">'
