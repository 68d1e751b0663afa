"""Components of the tab Create, laid out: a short form, the rest folded away, the pictures."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import gradio as gr

from .....configs.schema import load_settings, presets
from .....stages.diffusion.samplers import NAMES
from ...files import lora_library
from ...visitor_settings import MORE
from ...widgets import (
    before_after,
    components,
    cutout_box,
    preset_notes,
    seed_box,
    text_lines,
)
from ...widgets.components import SAVE
from .example_runs import Examples
from .form import NONE, request_of

STRENGTH = "Strength of the re-render"
REFINERS = ("stabilityai/stable-diffusion-xl-refiner-1.0",)


class Layout:
    """The components, made where the tab is open.

    `fields`: those of the form, by the names of `form.request_of`.
    """

    def __init__(self, root: Path) -> None:
        self.usual = load_settings("mini")
        self.shown = gr.State(("", -1))
        self.picked = gr.State(0)
        self.offered = gr.State("")
        self.timer = gr.Timer(components.EVERY, active=False)
        with gr.Row(equal_height=False, elem_id="create"):
            with gr.Column(scale=4, min_width=320):
                self._form()
                self._settings(root)
                with gr.Row(elem_id="create-png"):
                    self.picture = gr.UploadButton(
                        "Fill in from a picture: choose it, or drop it anywhere here",
                        file_types=["image"], size="sm",
                    )  # fmt: skip
                self._buttons()
            with gr.Column(scale=5, min_width=320):
                self._pictures()
        names = inspect.signature(request_of).parameters
        self.fields: dict[str, Any] = {name: getattr(self, name) for name in names}
        self.watched = [
            self.examples.column, self.state, self.made, self.before_after, self.command,
            self.cancel, self.timer, self.shown,
        ]  # fmt: skip

    def _form(self) -> None:
        self.filled = components.html("create-filled")
        with gr.Group():
            self.classes = components.class_box("Product classes", "create-classes")
            self.prompt = gr.Textbox(
                self.usual.generate.prompt, lines=2, max_lines=8, label="Prompt",
                max_length=2000, elem_id="create-prompt",
            )  # fmt: skip
            self.preview = gr.HTML(elem_id="create-preview")
            self.edit = text_lines.edit_box(
                "What the product becomes: edits, one a line", "create-edit",
                placeholder="red leather; empty: as the prompt says",
            )  # fmt: skip
            with gr.Row():
                self.count = gr.Number(
                    4, label="Pictures a class", precision=0, min_width=120,
                    elem_id="create-count",
                )  # fmt: skip
                self.preset = gr.Dropdown(presets(), value="mini", label="Preset", min_width=120)

    def _settings(self, root: Path) -> None:
        g, r = self.usual.generate, self.usual.rerender
        with gr.Accordion("Settings", open=False):
            self.seed, self.reuse = seed_box.box("create-seed", "counts up in a class")
            self.negative = gr.Textbox(g.negative_prompt, label="Negative prompt")
            with gr.Row():
                self.width = gr.Number(g.width, label="Width, pixels", precision=0, min_width=110)
                self.height = gr.Number(
                    g.height, label="Height, pixels", precision=0, min_width=110
                )
            with gr.Row():
                self.sampler = gr.Dropdown(
                    list(NAMES), value=g.sampler, label="Sampler", min_width=160
                )
                self.steps = gr.Slider(
                    1, 100, g.steps, step=1, label="Steps", min_width=160, elem_id="create-steps"
                )
            with gr.Row():
                self.cfg = gr.Slider(0, 20, g.cfg_scale, step=0.5, label="CFG scale", min_width=160)
                self.strength = gr.Slider(
                    0.05, 1, r.strength, step=0.05, min_width=160,
                    label=preset_notes.strength_label(r, STRENGTH),
                )  # fmt: skip
            with gr.Row():
                self.refiner = gr.Dropdown(
                    [NONE, *REFINERS], value=NONE, allow_custom_value=True, min_width=160,
                    label="Refiner (SDXL)", elem_id="create-refiner",
                )  # fmt: skip
                self.noise = gr.Slider(
                    0.05, 0.95, 0.8, step=0.05, label="high_noise_frac", min_width=160,
                    info="The share of the steps before the refiner's",
                )  # fmt: skip
            self.cutout, self.behind = cutout_box.box("create-cutout")
            self._loras(root)
            self.more = gr.Textbox(
                label="More settings, YAML", lines=1, max_lines=6, max_length=1000,
                placeholder="generate.hires: {scale: 2, strength: 0.5}",
                info=", ".join(MORE), elem_id="create-more",
            )  # fmt: skip

    def _loras(self, root: Path) -> None:
        with gr.Accordion("LoRAs", open=False), gr.Row():
            self.lora = gr.Dropdown(lora_library.names(root, "mini"), label="LoRA", min_width=140)
            self.weight = gr.Slider(-1, 2, 1.0, step=0.05, label="Weight", min_width=140)
            self.add = gr.Button("Add to the prompt", min_width=120)

    def _buttons(self) -> None:
        with components.actions():
            self.answer = components.html("create-answer")
            with gr.Row():
                self.make = gr.Button(
                    "Make 4 pictures", variant="primary", scale=3, min_width=180,
                    elem_id="create-make",
                )  # fmt: skip
                self.cancel = gr.Button(
                    "Cancel", interactive=False, scale=1, min_width=80, elem_id="create-cancel"
                )

    def _pictures(self) -> None:
        self.examples = Examples()
        self.state = components.html("create-progress")
        self.made = components.gallery_box("Pictures", "create-gallery", 3, buttons=SAVE)
        self.before_after = before_after.component("create-slider")
        self.command = components.folded_command("create-command")
