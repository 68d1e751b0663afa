"""The tab Runs: the run folders, to look through, download and run again."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

import gradio as gr

from ..error_text import public_text
from ..files import run_folders
from ..queue import requests
from ..queue.job_queue import JobQueue
from ..widgets import before_after as slider
from ..widgets import components
from ..widgets.components import QUICK, Update

MOST = 200
"""Pictures shown at a time; the zip has all."""


def tab(shown: gr.Tab, queue: JobQueue, tabs: gr.Tabs, enhance: tuple[Any, Any, Any]) -> None:
    """Lay the tab out and wire it. `enhance` takes a run: its id, its classes and a message."""
    root = queue.root
    replayed = gr.State("")
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            run = gr.Dropdown(
                [], label="Run, newest first", elem_id="runs-run", allow_custom_value=False
            )
            with gr.Row():
                outcome = gr.Dropdown(
                    ["all", *run_folders.OUTCOMES], value="all", label="Outcome", min_width=130,
                    elem_id="runs-outcome",
                )  # fmt: skip
                label = gr.Dropdown(
                    ["all"], value="all", label="Class", min_width=130, elem_id="runs-class"
                )
            summary = components.html("runs-facts")
            links = components.html("runs-links")
            with gr.Row():
                refresh = gr.Button("Refresh", min_width=100)
                replay = gr.Button("Run again", min_width=100, elem_id="runs-replay")
                send = gr.Button("Send to Enhance", min_width=140, elem_id="runs-send")
            state = components.html("runs-progress")
            command = components.command_box("runs-command")
        with gr.Column(scale=6, min_width=320):
            pictures = components.gallery_box(
                "Pictures", "runs-gallery", 4, allow_preview=False, buttons=[]
            )
            before_after = slider.component("runs-slider")
    timer = gr.Timer(1.0, active=False)

    def names(now: str | None) -> Any:
        found = run_folders.ids(root)
        return gr.Dropdown(
            choices=found, value=now if now in found else (found[0] if found else None)
        )

    def open_(id_: str | None) -> Update:
        blank = {
            label: gr.Dropdown(["all"], value="all"),
            outcome: "all",
            summary: "<p>No run here yet.</p>",
            links: "",
            command: "",
            pictures: components.gallery([]),
        }
        if not id_:
            return blank
        try:
            run = run_folders.read(root, id_)
        except ValueError as error:
            return {**blank, summary: f"<p>{escape(public_text(str(error)))}</p>"}
        try:
            line = str(requests.request_of_run(run.folder))
        except ValueError:
            line = ""
        return {
            label: gr.Dropdown(["all", *run.classes], value="all"),
            outcome: "all",
            summary: components.facts(run.records),
            links: _links(id_),
            command: line,
            pictures: components.gallery_of(run, run.records[:MOST]),
        }

    def filter_(id_: str | None, outcome: str, label: str) -> Update:
        if not id_:
            return {summary: "", pictures: components.gallery([])}
        run = run_folders.read(root, id_)
        records = run.chosen(outcome, label)
        return {
            summary: components.facts(records)
            if records
            else "<p>No such picture in this run.</p>",
            pictures: components.gallery_of(run, records[:MOST]),
        }

    def select(id_: str, outcome: str, label: str, event: gr.SelectData) -> Any:
        run = run_folders.read(root, id_)
        return slider.update(run, event.index, run.chosen(outcome, label)[:MOST])

    def run_again(id_: str | None) -> Update:
        job = queue.submit(requests.request_of_run(run_folders.folder(root, id_ or "")))
        return {
            state: components.progress(job, queue),
            replayed: job.id,
            timer: gr.Timer(active=True),
            command: str(job.request),
        }

    def watch(job_id: str, now: str | None) -> Update:
        job = queue.get(job_id)
        if job is None:
            return {state: "", timer: gr.Timer(active=False)}
        update: Update = {state: components.progress(job, queue), timer: gr.Timer(active=job.open)}
        return update if job.open else {**update, run: names(job.id if job.records() else now)}

    def to_enhance(id_: str | None) -> Update:
        records = run_folders.read(root, id_ or "").records
        found = sorted({name for record in records for name in record.classes})
        sent, classes, message = enhance
        return {
            state: "",
            tabs: gr.Tabs(selected="enhance"),
            sent: id_,
            classes: gr.Dropdown(value=found or None),
            message: f'<p class="said">From the run {escape(id_ or "")}: press Find.</p>',
        }

    opened = [label, outcome, summary, links, command, pictures]
    for event in (shown.select, refresh.click):
        event(names, run, run, **QUICK).then(open_, run, opened, **QUICK)
    run.change(open_, run, opened, **QUICK)
    for choice in (outcome, label):
        choice.input(filter_, [run, outcome, label], [summary, pictures], **QUICK)
    pictures.select(select, [run, outcome, label], before_after, **QUICK)
    begun = [state, replayed, timer, command]
    replay.click(components.show_errors(run_again, state), run, begun, **QUICK)
    timer.tick(watch, [replayed, run], [state, timer, run], **QUICK)
    send.click(components.show_errors(to_enhance, state), run, [state, tabs, *enhance], **QUICK)


def _links(id_: str) -> str:
    base = f"api/runs/{quote(id_)}"
    return (
        f'<p class="links"><a href="{base}/files/report.html" target="_blank">Report</a>'
        f'<a href="{base}/zip" id="runs-zip" download>Download zip</a>'
        f'<a href="{base}/files/manifest.jsonl" target="_blank">Manifest</a></p>'
    )
