"""The tab Create: prompts become checked, re-rendered pictures."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import gradio as gr

from .....configs.schema import load_settings, presets
from .....stages.diffusion.samplers import NAMES
from ...files import lora_library
from ...files.run_folders import RunSummary
from ...queue import requests
from ...queue.job_queue import JobQueue
from ...visitor_settings import MORE, preset_settings
from ...widgets import before_after as slider
from ...widgets import components, download_offer, prompt_preview, seed_box
from ...widgets.browser_state import browser_state
from ...widgets.components import LATEST, QUICK, SAVE, Update
from . import png_info
from .fill_in import CreateForm
from .form import NONE, request_of

REFINERS = ("stabilityai/stable-diffusion-xl-refiner-1.0",)
NOTHING = '<p class="said">Pictures appear here as they are made.</p>'


def browser_states(root: Path) -> tuple[gr.BrowserState, gr.BrowserState]:
    """Return what the browser keeps: the id of the job and the values of the form."""
    return browser_state(root, "create"), browser_state(root, "create.form")


def tab(
    blocks: gr.Blocks,
    queue: JobQueue,
    jobs: gr.HTML,
    job_id: gr.BrowserState,
    kept: gr.BrowserState,
) -> CreateForm:
    """Lay the tab out and wire it; return its form. `jobs` tells of each change of their number."""
    usual = load_settings("mini")
    shown = gr.State(("", -1))
    picked = gr.State(0)
    offered = gr.State("")
    timer = gr.Timer(components.EVERY, active=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            with gr.Row(elem_id="create-png"):
                picture = gr.UploadButton(
                    "Fill in from a picture: choose it, or drop it anywhere here",
                    file_types=["image"], size="sm",
                )  # fmt: skip
            filled = components.html("create-filled")
            classes = components.class_box("Product classes", "create-classes")
            prompt = gr.Textbox(
                usual.generate.prompt, lines=3, max_lines=8, label="Prompt",
                info="{class} becomes the class", max_length=2000, elem_id="create-prompt",
            )  # fmt: skip
            preview = components.html("create-preview")
            edit = gr.Textbox(
                label="Edit", placeholder="red leather", max_length=500,
                info="What stage 3 makes of the product; empty: the prompt itself",
            )  # fmt: skip
            with gr.Row():
                count = gr.Number(
                    4, label="Pictures a class", precision=0, min_width=120,
                    elem_id="create-count",
                )  # fmt: skip
                preset = gr.Dropdown(presets(), value="mini", label="Preset", min_width=120)
            seed, reuse = seed_box.box("create-seed", "counts up in a class")
            with gr.Accordion("LoRAs", open=False), gr.Row():
                lora = gr.Dropdown(
                    lora_library.names(queue.root, "mini"), label="LoRA", min_width=140
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
                more = gr.Textbox(
                    label="More settings, YAML", lines=1, max_lines=6, max_length=1000,
                    placeholder="generate.hires: {scale: 2, strength: 0.5}",
                    info=", ".join(MORE), elem_id="create-more",
                )  # fmt: skip
            with components.actions():
                answer = components.html("create-answer")
                with gr.Row():
                    make = gr.Button(
                        "Make 4 pictures", variant="primary", scale=3, min_width=180,
                        elem_id="create-make",
                    )  # fmt: skip
                    cancel = gr.Button(
                        "Cancel", interactive=False, scale=1, min_width=80, elem_id="create-cancel"
                    )
        with gr.Column(scale=5, min_width=320):
            state = components.html("create-progress")
            made = components.gallery_box("Pictures", "create-gallery", 3, buttons=SAVE)
            before_after = slider.component("create-slider")
            command = components.command_box("create-command")
    fields: list[Any] = [
        classes, prompt, edit, count, preset, seed, negative, width, height, sampler, steps, cfg,
        strength, refiner, noise, more,
    ]  # fmt: skip
    names = inspect.signature(request_of).parameters
    form = CreateForm(dict(zip(names, fields, strict=True)), filled)
    watched = [state, made, before_after, command, cancel, timer, shown]

    def watch(id_: str, before: tuple[Any, ...] = ("", -1)) -> Update:
        job = queue.get(id_)
        if job is None:
            off = {cancel: gr.Button(interactive=False), timer: gr.Timer(active=False)}
            return {state: NOTHING, command: "", **off}
        records = job.records()
        pictures = components.pictures_of(job, records)
        out = {
            state: components.progress(job, queue)
            + seed_box.chip(job.request)
            + (components.facts(records) if records else ""),
            command: str(job.request),
            cancel: gr.Button(interactive=job.open),
            timer: gr.Timer(active=job.open),
            shown: (job.id, len(records), pictures),
        }
        if out[shown] != before:
            out[made] = components.gallery(pictures)
            if before[0] != job.id or before[1] <= 0:
                out[before_after] = slider.update(RunSummary(job.folder, records))
        return out

    def submit(before: str, *values: Any) -> Update:
        request = lora_library.with_folders(queue.root, request_of(*values))
        requests.check(request)
        offer = download_offer.offer(requests.needed_models(request), "Make")
        if offer and offer != before:
            return {answer: offer, offered: offer}
        job = queue.submit(request)
        return {answer: "", job_id: job.id, picked: 0, **watch(job.id)}

    def button_text(names: list[str] | None, number: float | None) -> str:
        """Return what pressing the button will do."""
        what = requests.pictures(int(number or 0) * max(1, len(names or ())))
        waiting = sum(job.open for job in queue)
        after = f", after {waiting} job{'s' * (waiting != 1)}"
        return f"Queue {what}{after}" if waiting else f"Make {what}"

    def stop(id_: str, before: tuple[Any, ...]) -> Update:
        queue.cancel(id_)
        return watch(id_, before)

    def select(id_: str, event: gr.SelectData) -> Update:
        job = queue.get(id_)
        if job is None:
            return {picked: 0}
        run = RunSummary(job.folder, job.records())
        return {picked: event.index, before_after: slider.update(run, event.index)}

    def reuse_seed(id_: str, number: int) -> Update:
        """Take the seed of the picture that is chosen in the gallery, at first the first one's."""
        job = queue.get(id_)
        records = components.shown(RunSummary(job.folder, job.records())) if job else []
        used = records[number].seed if number < len(records) else seed_box.used(job)
        return {answer: "", seed: used}

    def fill_in(path: str, name: str) -> Update:
        """Set the fields to those of a picture (A1111's PNG info)."""
        return form.fill_in(Path(path).name, *png_info.read(Path(path), name))

    def change_preset(name: str) -> Update:
        usual = preset_settings(name)
        g, refines = usual.generate, usual.refiner
        return {
            classes: gr.Dropdown(choices=prompt_preview.classes(name)),
            prompt: g.prompt,
            negative: g.negative_prompt,
            width: g.width,
            height: g.height,
            sampler: g.sampler,
            steps: g.steps,
            cfg: g.cfg_scale,
            strength: usual.rerender.strength,
            more: "",
            refiner: refines.model if refines else NONE,
            noise: refines.high_noise_frac if refines else 0.8,
            lora: gr.Dropdown(choices=lora_library.names(queue.root, name), value=None),
        }

    def restore(values: Any) -> Any:
        """After a reload: fill the form in as it was left."""
        if not isinstance(values, dict) or values.get("preset") not in presets():
            return gr.skip()
        name = values["preset"]
        return {
            **{field: values[n] for n, field in form.fields.items() if n in values},
            classes: gr.Dropdown(
                choices=prompt_preview.classes(name), value=values.get("classes") or []
            ),
            lora: gr.Dropdown(choices=lora_library.names(queue.root, name), value=None),
        }

    of_preset = [
        classes, prompt, negative, width, height, sampler, steps, cfg, strength, refiner, noise,
        more, lora,
    ]  # fmt: skip
    make.click(
        components.show_errors(submit, answer), [offered, *fields],
        [answer, offered, job_id, picked, *watched], **QUICK,
    )  # fmt: skip
    for_button = [classes.change, count.change, jobs.input, blocks.load]
    gr.on(for_button, button_text, [classes, count], make, **LATEST)
    made.select(select, job_id, [picked, before_after], **QUICK)
    reuse.click(
        components.show_errors(reuse_seed, answer), [job_id, picked], [answer, seed], **QUICK
    )
    cancel.click(stop, [job_id, shown], watched, **QUICK)
    timer.tick(watch, [job_id, shown], watched, **QUICK)
    blocks.load(watch, job_id, watched, **QUICK)
    blocks.load(restore, kept, [*fields, lora], **QUICK)
    keep = f"(...values) => Object.fromEntries({list(names)}.map((name, k) => [name, values[k]]))"
    gr.on([field.change for field in fields], None, fields, kept, js=keep, **QUICK)
    picture.upload(
        components.show_errors(fill_in, filled), [picture, preset], form.outputs, **QUICK
    )
    drop = Path(__file__).with_name("drop_picture.js").read_text(encoding="utf-8")
    blocks.load(None, None, None, js=drop, **QUICK)
    preset.select(change_preset, preset, of_preset, **QUICK)  # input comes of a mere look, too
    add.click(
        lambda text, name, w: f"{text}, <lora:{name}:{w:g}>" if name else text,
        [prompt, lora, weight], prompt, **QUICK,
    )  # fmt: skip
    words = [prompt, classes, edit, preset]
    changed = [prompt.change, classes.change, edit.change, blocks.load]
    gr.on(changed, prompt_preview.preview, words, preview, **LATEST)
    return form
