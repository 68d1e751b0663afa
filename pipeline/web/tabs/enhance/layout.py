"""Components of the tab Enhance, laid out: photos above, then the photo with its form beside it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from .....configs.schema import Settings, presets
from ...widgets import components, cutout_box, preset_notes, seed_box, text_lines
from . import photo_strip, photo_view, samples, selection

ALL = "all photos"
EDIT, EDIT_OF_ONE = "Edits, one a line", "Edit of this one"
"""Labels of the edit: of all photos, or of one instance."""
STRENGTH = "Strength"
SAMPLES = "No photo at hand? Try one of these:"


class Layout:
    """The components, made where the tab is open. The browser states lie outside of it.

    Attributes:
        shown: the job whose progress is shown, and how many of its records there are, as a text.
        painted: the photo that was painted on last, and how often it was, as a text.
        stops: how often Cancel was pressed.
        kept_as: session, job and command of the last Keep as a run.
        begun: what changes where a search begins.
        watched: what shows the job; one event updates it.
        drawn: what shows the session but for the strip; one event updates it.
    """

    def __init__(
        self,
        usual: Settings,
        session: gr.BrowserState,
        job_id: gr.BrowserState,
        draft: gr.BrowserState,
        *news: gr.BrowserState,
    ) -> None:
        self.session, self.job_id, self.draft = session, job_id, draft
        self.shown, self.painted, self.stops, self.kept_as = news
        self.sent_run = gr.State("")
        self.offered = gr.State("")
        self.timer = gr.Timer(components.EVERY, active=False)
        with gr.Accordion("Photos", elem_id="enhance-photos") as self.photos_box:
            self._photos()
        self.message = components.html("enhance-said")
        with gr.Row(visible=False, equal_height=False, elem_id="enhance-work") as self.work:
            with gr.Column(scale=1, min_width=320):
                self.photo = photo_view.component("enhance-photo")
                self.strip = photo_strip.component("enhance-strip", "Photos")
            with gr.Column(scale=0, min_width=300, elem_id="enhance-form"):
                self._form(usual)
        self.words: list[Any] = [self.edit, self.strength, self.prompt]
        self.cutouts: list[Any] = [self.cutout, self.behind]
        self.fields: list[Any] = [
            self.classes, self.preset, *self.words, self.steps, self.seed, self.cutout
        ]  # fmt: skip
        self.begun: list[Any] = [
            self.answer, self.job_id, self.session, self.threshold, self.photos_box, self.whose,
            *self.words,
        ]  # fmt: skip
        self.watched: list[Any] = [self.progress, self.cancel, self.timer, self.shown]
        self.drawn: list[Any] = [
            self.photos_box, self.work, self.facts, self.command, self.photo, self.ticks,
            self.control, self.whose,
        ]  # fmt: skip

    def _photos(self) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=300):
                self.files = gr.File(
                    file_count="multiple", label="Photos, or a zip of them",
                    elem_id="enhance-files", height=150,
                )  # fmt: skip
                self.folder = gr.UploadButton(
                    "Or choose a folder", file_count="directory", size="sm",
                    elem_id="enhance-folder",
                )  # fmt: skip
            with gr.Column(scale=2, min_width=300):
                with gr.Row():
                    self.classes = components.class_box("What to look for", "enhance-classes")
                    self.preset = gr.Dropdown(
                        presets(), value="mini", label="Preset", min_width=110
                    )
                self.find = gr.Button("Find", variant="primary", elem_id="enhance-find")
        self.samples = photo_strip.component("enhance-samples", SAMPLES, samples.photos())

    def _form(self, usual: Settings) -> None:
        self.threshold = gr.Slider(
            selection.FLOOR, 0.99, usual.detect.box_threshold, step=0.01, label="Threshold",
            elem_id="enhance-threshold",
        )  # fmt: skip
        self.facts = components.html("enhance-facts")
        self.ticks = gr.CheckboxGroup([], label="Instances", elem_id="enhance-ticks")
        with gr.Row():
            self.edit = text_lines.edit_box(
                EDIT, "enhance-edit", max_lines=3, placeholder="red", min_width=130
            )
            self.whose = gr.Dropdown(
                [(ALL, -1)], value=-1, label="Applies to", min_width=130, elem_id="enhance-whose"
            )
        self.strength = gr.Slider(
            0.05, 1, usual.rerender.strength, step=0.05,
            label=preset_notes.strength_label(usual.rerender, STRENGTH), elem_id="enhance-strength",
        )  # fmt: skip
        self.notes = components.html("enhance-notes")
        self.seed, self.reuse = seed_box.box("enhance-seed", "each photo has its own by it")
        with components.actions():
            with gr.Row():
                self.rerender = gr.Button(
                    "Re-render this photo", variant="primary", size="md", min_width=130,
                    elem_id="enhance-go",
                )  # fmt: skip
                self.rerender_all = gr.Button(
                    "Re-render all photos", visible=False, size="md", min_width=130,
                    elem_id="enhance-go-all",
                )  # fmt: skip
                self.cancel = gr.Button(
                    "Cancel", visible=False, size="md", min_width=80, elem_id="enhance-cancel"
                )
            self.answer = components.html("enhance-answer")
        self.progress = components.html("enhance-progress")
        with gr.Accordion("Prompt, steps, cut-outs", open=False, elem_id="enhance-more"):
            self.prompt = gr.Textbox(
                label="Prompt", lines=2, max_length=2000, elem_id="enhance-prompt",
                info="In place of the preset's; {class} and {edit} are filled in, [SKIP] "
                "leaves an instance as it is",
            )  # fmt: skip
            self.steps = gr.Slider(
                1, 100, usual.rerender.steps, step=1, label="Steps", elem_id="enhance-steps"
            )
            self.cutout, self.behind = cutout_box.box(
                "enhance-cutout", "With each re-render, or of the photos by Keep as a run. "
            )
            self.keep = gr.Button("Keep as a run", size="sm", elem_id="enhance-keep")
            self.kept = components.html("enhance-kept")
            self.command = components.command_box("enhance-command")
            self.control = components.html("enhance-control")
