"""The tab Runs: run folders by their pictures, to look through, use again, resume and delete."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import Any
from urllib.parse import quote

import gradio as gr

from ...files import run_folders, run_overview
from ...queue import requests
from ...queue.job_queue import JobQueue
from ...widgets import before_after as slider
from ...widgets import components
from ...widgets.components import LATEST, QUICK, Update, show_errors
from ..create.fill_in import CreateForm
from . import cards, use_again
from .layout import Layout
from .picture_details import details

PAGE = 24
"""Runs shown at first, and how many more at a time."""
MOST = 200
"""Pictures of a run that are shown at a time; the zip has all."""


def tab(
    shown: gr.Tab, queue: JobQueue, tabs: gr.Tabs, form: CreateForm, enhance: tuple[Any, Any, Any]
) -> None:
    """Lay the tab out and wire it. `enhance` takes a run: its id, its classes and a message."""
    root = queue.root
    at, many, started = gr.State(""), gr.State(PAGE), gr.State("")
    timer = gr.Timer(1.0, active=False)
    layout = Layout()

    def list_(words: str, most: int) -> Update:
        """Show the newest runs that match."""
        found = list(islice(run_overview.find(root, words or ""), most + 1))
        jobs = {job.id: job for job in queue}
        text = cards.of_runs(found[:most], jobs) if found else ""
        return {
            layout.runs: text or (cards.NO_MATCH if words else cards.EMPTY),
            layout.more: gr.Button(visible=len(found) > most),
            many: most,
        }

    def open_(id_: str, *, picked: str = "") -> Update:
        """Show a run in place of the list."""
        folder = run_folders.folder(root, id_)
        overview, job = run_overview.overview(root, id_), queue.get(id_)
        try:
            line = str(requests.request_of_run(folder))
        except ValueError:
            line = ""
        run = None if overview.problem else run_folders.read(root, id_)
        return {
            at: id_,
            layout.listing: gr.Column(visible=False),
            layout.opened: gr.Column(visible=True),
            layout.head: _head(overview, cards.facts(overview, job)),
            layout.outcome: "all",
            layout.label: gr.Dropdown(["all", *(run.classes if run else ())], value="all"),
            layout.message: components.error_message(ValueError(overview.problem))
            if overview.problem
            else "",
            layout.command: line,
            layout.resume: gr.Button(visible=cards.status(overview, job) not in _COMPLETE),
            **ask(False),
            layout.sure_text: _sure(overview),
            **pictures(id_, "all", "all", picked),
        }

    def close(words: str, most: int) -> Update:
        """Show the list in place of a run."""
        return {
            at: "",
            layout.opened: gr.Column(visible=False),
            layout.listing: gr.Column(visible=True),
            **list_(words, most),
        }

    def refresh(id_: str, words: str, most: int) -> Update:
        """Show what is on the disk now: the run that was open, if it is still there."""
        try:
            return open_(id_) if id_ else close(words, most)
        except run_folders.RunNotFoundError:
            return close(words, most)

    def choose(words: str, most: int, event: gr.EventData) -> Update:
        try:
            return open_(str(event._data["key"]))
        except run_folders.RunNotFoundError:
            return close(words, most)

    def pictures(id_: str, outcome: str, label: str, picked: str = "") -> Update:
        """Show the pictures of one outcome and class, and one of them large."""
        try:
            run = run_folders.read(root, id_)
        except ValueError:
            return {layout.pictures: "", layout.details: "", layout.slider: slider.nothing()}
        records = run.chosen(outcome, label)
        first = next((one for one in records if one.id == picked), next(iter(records), None))
        text = cards.of_pictures(run, records[:MOST], first.id if first else "")
        if len(records) > MOST:
            text += f'<p class="said">The first {MOST} of {len(records)}; the zip has all.</p>'
        return {
            layout.pictures: text
            if records
            else '<p class="said">No such picture in this run.</p>',
            layout.details: details(first) if first else "",
            layout.slider: slider.update(run, 0, [first]) if first else slider.nothing(),
        }

    def pick(id_: str, event: gr.EventData) -> Update:
        run = run_folders.read(root, id_)
        record = next((one for one in run.records if one.id == event._data["key"]), None)
        if record is None:
            return {layout.details: ""}
        return {layout.details: details(record), layout.slider: slider.update(run, 0, [record])}

    def begin(job: Any) -> Update:
        return {
            started: job.id,
            timer: gr.Timer(active=True),
            layout.progress: components.progress(job, queue),
            layout.message: "",
        }

    def run_again(id_: str) -> Update:
        return begin(queue.submit(requests.request_of_run(run_folders.folder(root, id_))))

    def resume(id_: str) -> Update:
        return begin(queue.resume(id_))

    def watch(job_id: str) -> Update:
        """Show the progress of a job that was begun here, and its run once it has ended."""
        job = queue.get(job_id)
        update: Update = {
            layout.progress: components.progress(job, queue),
            timer: gr.Timer(active=job is not None and job.open),
        }
        if job is None or job.open or not job.records():
            return update
        return {**open_(job.id), **update}

    def to_enhance(id_: str) -> Update:
        run = run_folders.read(root, id_)
        sent, classes, message = enhance
        return {
            layout.message: "",
            tabs: gr.Tabs(selected="enhance"),
            sent: id_,
            classes: gr.Dropdown(value=run.classes or None),
            message: f'<p class="said">From the run {escape(id_)}: press Find.</p>',
        }

    def take_again(id_: str) -> Update:
        """Fill Create in with the run; one of photos goes to Enhance."""
        folder = run_folders.folder(root, id_)
        if use_again.of_photos(folder):
            return to_enhance(id_)
        filled = form.fill_in(f"the run {id_}", *use_again.values_of_run(folder))
        return {layout.message: "", tabs: gr.Tabs(selected="create"), **filled}

    def ask(sure: bool) -> Update:
        """Show the question before a deletion in place of the buttons, or the buttons."""
        return {layout.sure: gr.Column(visible=sure), layout.buttons: gr.Row(visible=not sure)}

    def delete(id_: str, words: str, most: int) -> Update:
        queue.delete_run(id_)
        return close(words, most)

    listed = [layout.runs, layout.more, many]
    shows = [
        at, *listed, layout.listing, layout.opened, layout.head, layout.outcome, layout.label,
        layout.message, layout.command, layout.resume, layout.sure, layout.sure_text,
        layout.buttons, layout.pictures, layout.details, layout.slider,
    ]  # fmt: skip
    asked = [layout.search, many]
    begun = [started, timer, layout.progress, layout.message]
    sent = [layout.message, tabs, *enhance]
    gr.on([shown.select, layout.refresh.click], refresh, [at, *asked], shows, **QUICK)
    layout.search.input(lambda words: list_(words, PAGE), layout.search, listed, **LATEST)
    layout.more.click(lambda words, most: list_(words, most + PAGE), asked, listed, **QUICK)
    layout.runs.select(choose, asked, shows, **QUICK).then(
        None, None, None, js="() => scrollTo(0, 0)", **QUICK
    )
    layout.back.click(close, asked, shows, **QUICK)
    gr.on(
        [layout.outcome.input, layout.label.input], pictures, [at, layout.outcome, layout.label],
        [layout.pictures, layout.details, layout.slider], **QUICK,
    )  # fmt: skip
    layout.pictures.select(pick, at, [layout.details, layout.slider], **QUICK).then(
        None, None, None, js=_TO_PICTURE, **QUICK
    )
    layout.again.click(show_errors(run_again, layout.message), at, begun, **QUICK)
    layout.resume.click(show_errors(resume, layout.message), at, begun, **QUICK)
    timer.tick(watch, started, [layout.progress, timer, *shows], **QUICK)
    layout.send.click(show_errors(to_enhance, layout.message), at, sent, **QUICK)
    layout.use.click(show_errors(take_again, layout.message), at, [*sent, *form.outputs], **QUICK)
    asks = [layout.sure, layout.buttons]
    layout.delete.click(lambda: ask(True), None, asks, **QUICK)
    layout.keep.click(lambda: ask(False), None, asks, **QUICK)
    layout.really.click(show_errors(delete, layout.message), [at, *asked], shows, **QUICK)


_TO_PICTURE = "() => document.querySelector('#runs-large').scrollIntoView({block: 'nearest'})"
"""On a phone the large picture is below the small ones; beside them it is in sight already."""
_COMPLETE = ("", "working", "waiting")


def _head(run: run_overview.RunOverview, facts: str) -> str:
    base = f"api/runs/{quote(run.id)}"
    return (
        f'<div class="run-head"><h2>{escape(cards.title(run))}</h2>'
        f"<p>{cards.when(run)} · {escape(run.id)}</p>"
        f'<p class="words">{escape(run.words)}</p><div class="chips">{facts}</div>'
        f'<p class="links"><a href="{base}/zip" id="runs-zip" download>Download zip</a>'
        f'<a href="{base}/files/report.html" target="_blank">Report</a>'
        f'<a href="{base}/files/manifest.jsonl" target="_blank">Manifest</a></p></div>'
    )


def _sure(run: run_overview.RunOverview) -> str:
    number = sum(run.counts.values())
    what = f"{number} picture{'s' * (number != 1)}"
    return (
        f'<p class="said" role="status">Delete the run <b>{escape(run.id)}</b> with its {what}? '
        "That cannot be undone.</p>"
    )
