"""Components of the tab Enhance, laid out."""

from __future__ import annotations

from typing import Any

import gradio as gr

from .....configs.schema import Settings, presets
from ...widgets import before_after, components, seed_box
from . import mask_canvas, selection

ALL = "all instances"


class Layout:
    """The components, made where the tab is open. `session` and `job_id` lie outside of it."""

    def __init__(self, usual: Settings, session: gr.BrowserState, job_id: gr.BrowserState) -> None:
        self.session, self.job_id = session, job_id
        self.shown = gr.State(("", -1))
        self.sent_run = gr.State("")
        self.offered = gr.State("")
        self.timer = gr.Timer(components.EVERY, active=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320):
                self._photos(usual)
            with gr.Column(scale=6, min_width=320):
                self._instances(usual)
                self._results()
        self.found: list[Any] = [self.facts, self.thumbs, self.photo, self.ticks]
        self.words: list[Any] = [self.edit, self.strength, self.prompt]
        self.watched: list[Any] = [
            self.progress, *self.found, self.whose, *self.words, self.before_after, self.results,
            self.control, self.command, self.cancel, self.timer, self.shown, self.session,
        ]  # fmt: skip

    def _photos(self, usual: Settings) -> None:
        self.files = gr.File(
            file_count="multiple", label="Photos, or a zip of them", elem_id="enhance-files",
            height=150,
        )  # fmt: skip
        self.folder = gr.UploadButton(
            "Or choose a folder", file_count="directory", size="sm", elem_id="enhance-folder"
        )
        with gr.Row():
            self.classes = components.class_box("What to look for", "enhance-classes")
            self.preset = gr.Dropdown(presets(), value="mini", label="Preset", min_width=120)
        self.find = gr.Button("Find", variant="primary", elem_id="enhance-find")
        self.message = components.html("enhance-said")
        self.threshold = gr.Slider(
            selection.FLOOR, 0.99, usual.detect.box_threshold, step=0.01, label="Threshold",
            info="Least score of a box; moves the result without asking the detector again",
            elem_id="enhance-threshold",
        )  # fmt: skip
        self.facts = components.html("enhance-facts")
        self.thumbs = components.gallery_box(
            "Photos", "enhance-thumbs", 4, buttons=[], allow_preview=False, format="jpeg"
        )

    def _instances(self, usual: Settings) -> None:
        self.photo = mask_canvas.canvas("enhance-photo")
        self.ticks = gr.CheckboxGroup([], label="Instances", elem_id="enhance-ticks")
        with gr.Row():
            self.whose = gr.Dropdown(
                [(ALL, -1)], value=-1, label="What becomes of", min_width=140,
                elem_id="enhance-whose",
            )  # fmt: skip
            self.edit = gr.Textbox(
                label="Edit", placeholder="red", max_length=500, min_width=180,
                elem_id="enhance-edit",
            )  # fmt: skip
            self.strength = gr.Slider(
                0.05, 1, usual.rerender.strength, step=0.05, label="Strength", min_width=160,
                elem_id="enhance-strength",
            )  # fmt: skip
        with gr.Accordion("Prompt, steps, seed", open=False):
            self.prompt = gr.Textbox(
                label="Prompt", lines=2, max_length=2000, elem_id="enhance-prompt",
                info="In place of the preset's; {class} and {edit} are filled in, [SKIP] "
                "leaves an instance as it is",
            )  # fmt: skip
            self.steps = gr.Slider(
                1, 100, usual.rerender.steps, step=1, label="Steps", elem_id="enhance-steps"
            )
            self.seed, self.reuse = seed_box.box("enhance-seed", "each photo has its own by it")

    def _results(self) -> None:
        self.answer = components.html("enhance-answer")
        with gr.Row():
            self.rerender = gr.Button("Re-render", variant="primary", elem_id="enhance-go")
            self.keep = gr.Button("Keep as a run", elem_id="enhance-keep")
            self.cancel = gr.Button("Cancel", interactive=False, elem_id="enhance-cancel")
        self.progress = components.html("enhance-progress")
        self.before_after = before_after.component("enhance-slider")
        with gr.Row():
            self.results = components.gallery_box(
                "Results", "enhance-results", 4, scale=4, allow_preview=False, buttons=[],
                min_width=200,
            )  # fmt: skip
            self.control = gr.Image(
                label="Control map", interactive=False, visible=False, scale=1, min_width=140,
                format="png", alt_text="The map that leads the re-render", buttons=[],
                elem_id="enhance-control",
            )  # fmt: skip
        self.command = components.folded_command("enhance-command")
