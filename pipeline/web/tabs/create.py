"""The tab Create: prompts to checked, re-rendered pictures."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ....configs.schema import load_settings, presets
from ....stages.diffusion.samplers import NAMES
from ..files import lora_library, run_folders
from ..queue import commands
from ..queue.commands import Command
from ..queue.job_queue import JobQueue, QueuedJob
from ..widgets import before_after as slider
from ..widgets import components, gallery, prompt_preview
from ..widgets.messages import told

QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
NONE = "none"
REFINERS = ("stabilityai/stable-diffusion-xl-refiner-1.0",)
NOTHING = '<p class="said">Pictures appear here as they are made.</p>'
EVERY = 0.8
"""Seconds between two looks at a job."""


def tab(blocks: gr.Blocks, desk: JobQueue) -> None:
    """Lay the tab out and wire it."""
    usual = load_settings("mini")
    job_id = gr.BrowserState("", storage_key="visuals.create")
    shown = gr.State(("", -1))
    timer = gr.Timer(EVERY, active=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            classes = gr.Dropdown(
                prompt_preview.classes("mini"), value=["mug"],
                multiselect=True, allow_custom_value=True,
                label="Product classes", elem_id="create-classes",
            )  # fmt: skip
            prompt = gr.Textbox(
                usual.generate.prompt, lines=3, max_lines=8, label="Prompt",
                info="{class} becomes the class", max_length=2000, elem_id="create-prompt",
            )  # fmt: skip
            preview = gr.HTML(padding=False, elem_id="create-preview")
            edit = gr.Textbox(
                label="Edit", placeholder="red leather", max_length=500,
                info="What stage 3 makes of the product; empty: the prompt itself",
            )  # fmt: skip
            with gr.Row():
                count = gr.Number(
                    4, label="Pictures a class", precision=0, minimum=1, maximum=1000,
                    min_width=120, elem_id="create-count",
                )  # fmt: skip
                preset = gr.Dropdown(presets(), value="mini", label="Preset", min_width=120)
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=120)
            with gr.Accordion("LoRAs", open=False), gr.Row():
                lora = gr.Dropdown(
                    lora_library.names(desk.root, "mini"), label="LoRA", min_width=140
                )
                weight = gr.Slider(-1, 2, 1.0, step=0.05, label="Weight", min_width=140)
                add = gr.Button("Add to the prompt", min_width=120)
            with gr.Accordion("Settings", open=False):
                negative = gr.Textbox(usual.generate.negative_prompt, label="Negative prompt")
                with gr.Row():
                    width = gr.Number(128, label="Width, pixels", precision=0, min_width=110)
                    height = gr.Number(128, label="Height, pixels", precision=0, min_width=110)
                with gr.Row():
                    sampler = gr.Dropdown(
                        list(NAMES), value=usual.generate.sampler, label="Sampler", min_width=160
                    )
                    steps = gr.Slider(
                        1, 100, usual.generate.steps, step=1, label="Steps", min_width=160,
                        elem_id="create-steps",
                    )  # fmt: skip
                with gr.Row():
                    cfg = gr.Slider(
                        0, 20, usual.generate.cfg_scale, step=0.5, label="CFG scale", min_width=160
                    )
                    strength = gr.Slider(
                        0.05, 1, usual.rerender.strength, step=0.05, min_width=160,
                        label="Strength of the re-render",
                    )  # fmt: skip
                with gr.Row():
                    refiner = gr.Dropdown(
                        [NONE, *REFINERS], value=NONE, allow_custom_value=True, min_width=160,
                        label="Refiner (SDXL)", elem_id="create-refiner",
                    )  # fmt: skip
                    noise = gr.Slider(
                        0.05, 0.95, 0.8, step=0.05, label="high_noise_frac", min_width=160,
                        info="The share of the steps before the refiner's",
                    )  # fmt: skip
            with gr.Row():
                make = gr.Button("Make pictures", variant="primary", elem_id="create-make")
                cancel = gr.Button("Cancel", interactive=False, elem_id="create-cancel")
            answer = gr.HTML(padding=False, elem_id="create-answer")
        with gr.Column(scale=5, min_width=320):
            progress = gr.HTML(padding=False, elem_id="create-progress")
            made = gr.Gallery(
                label="Pictures", columns=3, height="auto", object_fit="contain",
                interactive=False, elem_id="create-gallery", buttons=["download", "fullscreen"],
                visible=False,
            )  # fmt: skip
            before_after = slider.component("create-slider")
            command = gr.Textbox(
                label="The same on the command line", interactive=False, lines=2, max_lines=6,
                buttons=["copy"], elem_classes="command", elem_id="create-command",
            )  # fmt: skip
    fields = [
        classes, prompt, edit, count, preset, seed, negative, width, height, sampler, steps, cfg,
        strength, refiner, noise,
    ]  # fmt: skip
    watched = [progress, made, before_after, command, cancel, timer, shown]

    def watch(id_: str, before: tuple[str, int]) -> list[Any]:
        return look_at(desk.get(id_), desk, before)

    def submit(*values: Any) -> list[Any]:
        order = lora_library.with_folders(desk.root, order_of(*values))
        commands.check(order)
        job = desk.submit(order)
        return ["", job.id, *look_at(job, desk, ("", -1))]

    def stop(id_: str, before: tuple[str, int]) -> list[Any]:
        desk.cancel(id_)
        return look_at(desk.get(id_), desk, before)

    def picked(id_: str, event: gr.SelectData) -> Any:
        job = desk.get(id_)
        run = run_folders.RunSummary(job.folder, tuple(job.lines())) if job else None
        return slider.of(run, event.index) if run else gr.skip()

    def changed_preset(name: str) -> list[Any]:
        s = load_settings(name)
        g = s.generate
        return [
            gr.Dropdown(choices=prompt_preview.classes(name)), g.prompt, g.negative_prompt, g.width,
            g.height, g.sampler, g.steps, g.cfg_scale, s.rerender.strength,
            s.refiner.model if s.refiner else NONE, s.refiner.high_noise_frac if s.refiner else 0.8,
            gr.Dropdown(choices=lora_library.names(desk.root, name), value=None),
        ]  # fmt: skip

    begun = [answer, job_id, *watched]
    make.click(told(submit, begun), fields, begun, **QUICK)
    made.select(picked, job_id, before_after, **QUICK)
    cancel.click(stop, [job_id, shown], watched, **QUICK)
    timer.tick(watch, [job_id, shown], watched, **QUICK)
    blocks.load(lambda id_: watch(id_, ("", -1)), [job_id], watched, **QUICK)
    preset.input(
        changed_preset, preset,
        [classes, prompt, negative, width, height, sampler, steps, cfg, strength, refiner, noise,
         lora], **QUICK,
    )  # fmt: skip
    add.click(
        lambda text, name, w: f"{text}, <lora:{name}:{w:g}>" if name else text,
        [prompt, lora, weight], prompt, **QUICK,
    )  # fmt: skip
    words = [prompt, classes, edit, preset]
    for event in (prompt.change, classes.change, edit.change, blocks.load):
        event(prompt_preview.preview, words, preview, trigger_mode="always_last", **QUICK)


def order_of(
    classes: list[str],
    prompt: str,
    edit: str,
    count: float,
    preset: str,
    seed: float,
    negative: str,
    width: float,
    height: float,
    sampler: str,
    steps: float,
    cfg: float,
    strength: float,
    refiner: str,
    noise: float,
) -> Command:
    """The form's values as an order that names only what differs from the preset."""
    if not classes:
        raise commands.CommandError("no product class: choose or type one")
    usual = load_settings(preset)
    g, r = usual.generate, usual.rerender
    changes: dict[str, Any] = {
        name: value
        for name, value, old in (
            ("generate.width", int(width), g.width),
            ("generate.height", int(height), g.height),
            ("generate.sampler", sampler, g.sampler),
            ("generate.steps", int(steps), g.steps),
            ("generate.cfg_scale", float(cfg), g.cfg_scale),
            ("rerender.steps", int(steps), r.steps if int(steps) == g.steps else None),
        )
        if value != old
    }
    if int(steps) == g.steps:
        changes.pop("rerender.steps", None)
    changes |= _refined(refiner, float(noise), usual.refiner)
    return Command(
        "run",
        classes=tuple(classes),
        count=max(1, min(1000, int(count or 1))),
        prompt=prompt if (prompt or "").strip() not in ("", g.prompt) else None,
        negative_prompt=negative if (negative or "") != g.negative_prompt else None,
        edit=(edit or "").strip(),
        strength=float(strength) if strength != r.strength else None,
        seed=int(seed or 0) or None,
        preset=preset,
        changes=changes,
    )


def _refined(model: str, noise: float, usual: Any) -> dict[str, Any]:
    """The changes that have a refiner draw the last steps, or none."""
    model = (model or NONE).strip()
    if model == NONE:
        return {"refiner": None} if usual else {}
    known = usual is not None and usual.model == model
    changes: dict[str, Any] = {} if known else {"refiner.model": model}
    if noise != (usual.high_noise_frac if usual else 0.8):
        changes["refiner.high_noise_frac"] = round(noise, 2)
    return changes


def look_at(job: QueuedJob | None, desk: JobQueue, before: tuple[str, int]) -> list[Any]:
    """What the page shows of a job: progress, pictures where there are new ones, command, cancel
    button, timer, what is shown now."""
    if job is None:
        off = [gr.Button(interactive=False), gr.Timer(active=False)]
        return [NOTHING, gr.skip(), gr.skip(), "", *off, before]
    lines = job.lines()
    now = job.id, len(lines)
    pictures = pair = gr.skip()
    if now != before:
        run = run_folders.RunSummary(job.folder, tuple(lines))
        pictures = gallery.holding(gallery.of(run))
        pair = gr.skip() if before[1] > 0 and before[0] == job.id else slider.of(run)
    return [
        components.progress(job, desk) + (components.facts(lines) if lines else ""),
        pictures,
        pair,
        job.order.line(),
        gr.Button(interactive=job.open),
        gr.Timer(active=job.open),
        now,
    ]
