"""The tab Runs: what every run of the folder made, to look through, take away, do again."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

import gradio as gr

from ..files import run_folders
from ..queue import commands
from ..queue.job_queue import JobQueue
from ..widgets import before_after as slider
from ..widgets import components, gallery
from ..widgets.messages import told
from .create import QUICK

MOST = 200
"""Pictures shown at a time; the zip has all."""


def tab(shown: gr.Tab, desk: JobQueue, tabs: gr.Tabs, taken: list[Any]) -> None:
    """Lay the tab out and wire it. `taken`: where "Send to Enhance" puts a run, its classes and
    a message."""
    root = desk.root
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
            facts = gr.HTML(padding=False, elem_id="runs-facts")
            links = gr.HTML(padding=False, elem_id="runs-links")
            with gr.Row():
                refresh = gr.Button("Refresh", min_width=100)
                replay = gr.Button("Run again", min_width=100, elem_id="runs-replay")
                send = gr.Button("Send to Enhance", min_width=140, elem_id="runs-send")
            progress = gr.HTML(padding=False, elem_id="runs-progress")
            command = gr.Textbox(
                label="The same on the command line", interactive=False, lines=2, max_lines=6,
                buttons=["copy"], elem_classes="command", elem_id="runs-command",
            )  # fmt: skip
        with gr.Column(scale=6, min_width=320):
            pictures = gr.Gallery(
                label="Pictures", columns=4, height="auto", object_fit="contain",
                interactive=False, allow_preview=False, elem_id="runs-gallery", buttons=[],
                visible=False,
            )  # fmt: skip
            before_after = slider.component("runs-slider")
    timer = gr.Timer(1.0, active=False)

    def names(now: str | None) -> Any:
        found = run_folders.ids(root)
        return gr.Dropdown(
            choices=found, value=now if now in found else (found[0] if found else None)
        )

    def open_(id_: str | None) -> list[Any]:
        everything = gr.Dropdown(["all"], value="all")
        blank = [everything, "all", "<p>No run here yet.</p>", "", "", gallery.holding([])]
        if not id_:
            return blank
        try:
            read = run_folders.read(root, id_)
        except ValueError as error:
            return [*blank[:2], f"<p>{escape(str(error))}</p>", *blank[3:]]
        try:
            line = commands.of_run(read.folder).line()
        except ValueError:
            line = ""
        return [
            gr.Dropdown(["all", *read.classes], value="all"),
            "all",
            components.facts(read.lines),
            _links(id_),
            line,
            gallery.holding(gallery.of(read, list(read.lines)[:MOST])),
        ]

    def filtered(id_: str | None, outcome: str, label: str) -> list[Any]:
        if not id_:
            return ["", gallery.holding([])]
        read = run_folders.read(root, id_)
        lines = read.chosen(outcome, label)
        facts = components.facts(lines) if lines else "<p>No such picture in this run.</p>"
        return [facts, gallery.holding(gallery.of(read, lines[:MOST]))]

    def detail(id_: str, outcome: str, label: str, event: gr.SelectData) -> Any:
        read = run_folders.read(root, id_)
        return slider.of(read, event.index, read.chosen(outcome, label)[:MOST])

    def again(id_: str | None) -> list[Any]:
        job = desk.submit(commands.of_run(run_folders.folder(root, id_ or "")))
        return [components.progress(job, desk), job.id, gr.Timer(active=True), job.order.line()]

    def watch(job_id: str, now: str | None) -> list[Any]:
        job = desk.get(job_id)
        if job is None:
            return ["", gr.Timer(active=False), gr.skip()]
        done = not job.open
        return [
            components.progress(job, desk),
            gr.Timer(active=not done),
            names(job.id if job.lines() else now) if done else gr.skip(),
        ]

    def to_enhance(id_: str | None) -> list[Any]:
        read = run_folders.read(root, id_ or "")
        asked = sorted({name for line in read.lines for name in line["classes"]})
        said = f'<p class="said">From the run {escape(id_ or "")}: press Find.</p>'
        return ["", gr.Tabs(selected="enhance"), id_, gr.Dropdown(value=asked or None), said]

    opened = [label, outcome, facts, links, command, pictures]
    shown.select(names, run, run, **QUICK).then(open_, run, opened, **QUICK)
    refresh.click(names, run, run, **QUICK).then(open_, run, opened, **QUICK)
    run.change(open_, run, opened, **QUICK)
    for choice in (outcome, label):
        choice.input(filtered, [run, outcome, label], [facts, pictures], **QUICK)
    pictures.select(detail, [run, outcome, label], before_after, **QUICK)
    begun = [progress, replayed, timer, command]
    replay.click(told(again, begun), run, begun, **QUICK)
    timer.tick(watch, [replayed, run], [progress, timer, run], **QUICK)
    there = [progress, tabs, *taken]
    send.click(told(to_enhance, there), run, there, **QUICK)


def _links(id_: str) -> str:
    base = f"api/runs/{quote(id_)}"
    return (
        f'<p class="links"><a href="{base}/files/report.html" target="_blank">Report</a>'
        f'<a href="{base}/zip" id="runs-zip" download>Download zip</a>'
        f'<a href="{base}/files/manifest.jsonl" target="_blank">Manifest</a></p>'
    )
