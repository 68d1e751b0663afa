"""Components of the tab Runs, laid out: the list, and in its place the run that is open."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...files import run_folders
from ...widgets import before_after, components
from . import cards

PAGE = 24
"""Runs shown at first, and how many more at a time."""


class Layout:
    """The components, made where the tab is open.

    Attributes:
        at: the run that is open, "" for none; kept by the browser.
        many: how many runs are listed.
        started: the job that was begun here, and the run that was open then.
    """

    def __init__(self, at: gr.BrowserState) -> None:
        self.at, self.many, self.started = at, gr.State(PAGE), gr.State(("", ""))
        self.timer = gr.Timer(1.0, active=False)
        with gr.Column() as self.listing:
            self._list()
        with gr.Column(visible=False) as self.opened:
            self._run()
        self.listed: list[Any] = [self.runs, self.more_runs, self.many]
        self.every: list[Any] = [
            self.at, *self.listed, self.listing, self.opened, self.head, self.outcome, self.label,
            self.progress, self.message, self.command, self.resume, self.sure, self.question,
            self.buttons, self.pictures, self.details, self.slider,
        ]  # fmt: skip

    def _list(self) -> None:
        with gr.Row(equal_height=True):
            self.search = gr.Textbox(
                placeholder="Search: class, edit, prompt, date", show_label=False, label="Search",
                max_lines=1, scale=6, min_width=200, max_length=200, elem_id="runs-search",
                container=False,
            )  # fmt: skip
            self.refresh = gr.Button("Refresh", min_width=110, scale=0)
        self.runs = cards.component("runs-list")
        self.more_runs = gr.Button("Show more", visible=False, elem_id="runs-more")

    def _run(self) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                with gr.Row():
                    self.back = gr.Button(
                        "← All runs", size="sm", scale=0, min_width=110, elem_id="runs-back"
                    )
                self.head = components.html("runs-head")
                with gr.Row():
                    self.outcome = gr.Dropdown(
                        ["all", *run_folders.OUTCOMES], value="all", label="Outcome",
                        min_width=130, elem_id="runs-outcome",
                    )  # fmt: skip
                    self.label = gr.Dropdown(
                        ["all"], value="all", label="Class", min_width=130, elem_id="runs-class"
                    )
                self.pictures = cards.component("runs-pictures")
            with gr.Column(scale=5, min_width=320, elem_id="runs-large"):
                self.slider = before_after.component("runs-slider")
                self.details = components.html("runs-details")
        with components.actions():
            self.progress = components.html("runs-progress")
            self.message = components.html("runs-message")
            with gr.Column(visible=False, elem_id="runs-sure") as self.sure:
                self.question = components.html("runs-question")
                with gr.Row():
                    self.really = gr.Button("Delete it", variant="stop", min_width=110)
                    self.keep = gr.Button("Keep it", min_width=110)
            with gr.Row() as self.buttons:
                self.use = gr.Button(
                    "Use again", variant="primary", min_width=110, elem_id="runs-use"
                )
                self.resume = gr.Button("Resume", min_width=100, elem_id="runs-resume")
                self.again = gr.Button("Run again", min_width=100, elem_id="runs-again")
                self.send = gr.Button("Send to Enhance", min_width=140, elem_id="runs-send")
                self.delete = gr.Button("Delete", min_width=90, elem_id="runs-delete")
        self.command = components.folded_command("runs-command")
