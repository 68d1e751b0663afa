"""The tab Create: prompts become checked, re-rendered pictures."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ....configs.schema import load_settings, presets
from ....stages.diffusion.samplers import NAMES
from ...jobs.engine_options import RequestError
from ...jobs.request import RunRequest
from ..files import lora_library
from ..files.run_folders import RunSummary
from ..queue import requests
from ..queue.job_queue import JobQueue
from ..visitor_settings import preset_settings
from ..widgets import before_after as slider
from ..widgets import components, prompt_preview
from ..widgets.components import LATEST, QUICK, SAVE, Update

NONE = "none"
REFINERS = ("stabilityai/stable-diffusion-xl-refiner-1.0",)
NOTHING = '<p class="said">Pictures appear here as they are made.</p>'


def tab(blocks: gr.Blocks, queue: JobQueue) -> gr.Textbox:
    """Lay the tab out and wire it; return the field of the prompt."""
    usual = load_settings("mini")
    job_id = gr.BrowserState("", storage_key="visuals.create")
    shown = gr.State(("", -1))
    timer = gr.Timer(components.EVERY, active=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
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
                    4, label="Pictures a class", precision=0, minimum=1, maximum=1000,
                    min_width=120, elem_id="create-count",
                )  # fmt: skip
                preset = gr.Dropdown(presets(), value="mini", label="Preset", min_width=120)
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=120)
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
            with gr.Row():
                make = gr.Button("Make pictures", variant="primary", elem_id="create-make")
                cancel = gr.Button("Cancel", interactive=False, elem_id="create-cancel")
            answer = components.html("create-answer")
        with gr.Column(scale=5, min_width=320):
            state = components.html("create-progress")
            made = components.gallery_box("Pictures", "create-gallery", 3, buttons=SAVE)
            before_after = slider.component("create-slider")
            command = components.command_box("create-command")
    fields = [
        classes, prompt, edit, count, preset, seed, negative, width, height, sampler, steps, cfg,
        strength, refiner, noise,
    ]  # fmt: skip
    watched = [state, made, before_after, command, cancel, timer, shown]

    def watch(id_: str, before: tuple[str, int] = ("", -1)) -> Update:
        job = queue.get(id_)
        if job is None:
            off = {cancel: gr.Button(interactive=False), timer: gr.Timer(active=False)}
            return {state: NOTHING, command: "", **off}
        records = job.records()
        out = {
            state: components.progress(job, queue) + (components.facts(records) if records else ""),
            command: str(job.request),
            cancel: gr.Button(interactive=job.open),
            timer: gr.Timer(active=job.open),
            shown: (job.id, len(records)),
        }
        if out[shown] != before:
            run = RunSummary(job.folder, records)
            out[made] = components.gallery_of(run)
            if before[0] != job.id or before[1] <= 0:
                out[before_after] = slider.update(run)
        return out

    def submit(*values: Any) -> Update:
        request = lora_library.with_folders(queue.root, request_of(*values))
        requests.check(request)
        job = queue.submit(request)
        return {answer: "", job_id: job.id, **watch(job.id)}

    def stop(id_: str, before: tuple[str, int]) -> Update:
        queue.cancel(id_)
        return watch(id_, before)

    def select(id_: str, event: gr.SelectData) -> Any:
        job = queue.get(id_)
        return (
            slider.update(RunSummary(job.folder, job.records()), event.index) if job else gr.skip()
        )

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
            refiner: refines.model if refines else NONE,
            noise: refines.high_noise_frac if refines else 0.8,
            lora: gr.Dropdown(choices=lora_library.names(queue.root, name), value=None),
        }

    of_preset = [
        classes, prompt, negative, width, height, sampler, steps, cfg, strength, refiner, noise,
        lora,
    ]  # fmt: skip
    make.click(components.show_errors(submit, answer), fields, [answer, job_id, *watched], **QUICK)
    made.select(select, job_id, before_after, **QUICK)
    cancel.click(stop, [job_id, shown], watched, **QUICK)
    timer.tick(watch, [job_id, shown], watched, **QUICK)
    blocks.load(watch, job_id, watched, **QUICK)
    preset.input(change_preset, preset, of_preset, **QUICK)
    add.click(
        lambda text, name, w: f"{text}, <lora:{name}:{w:g}>" if name else text,
        [prompt, lora, weight], prompt, **QUICK,
    )  # fmt: skip
    words = [prompt, classes, edit, preset]
    for event in (prompt.change, classes.change, edit.change, blocks.load):
        event(prompt_preview.preview, words, preview, **LATEST)
    return prompt


def request_of(
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
) -> RunRequest:
    """Return the request of the form's values, which names only what differs from the preset."""
    if not classes:
        raise RequestError("no product class: choose or type one")
    usual = preset_settings(preset)
    g, r = usual.generate, usual.rerender
    return RunRequest(
        command="run",
        classes=classes,
        count=max(1, min(1000, int(count or 1))),
        prompt=prompt if (prompt or "").strip() not in ("", g.prompt) else None,
        negative_prompt=negative if (negative or "") != g.negative_prompt else None,
        edit=(edit or "").strip(),
        strength=float(strength) if strength != r.strength else None,
        seed=int(seed or 0) or None,
        steps=int(steps) if int(steps) != g.steps else None,
        sampler=sampler if sampler != g.sampler else None,
        width=int(width) if int(width) != g.width else None,
        height=int(height) if int(height) != g.height else None,
        preset=preset,
        overrides={
            **({"generate.cfg_scale": float(cfg)} if cfg != g.cfg_scale else {}),
            **_refiner(refiner, float(noise), usual.refiner),
        },
    )


def _refiner(model: str, noise: float, usual: Any) -> dict[str, Any]:
    """Return the settings by which a refiner draws the last steps, or none does."""
    model = (model or NONE).strip()
    if model == NONE:
        return {"refiner": None} if usual else {}
    known = usual is not None and usual.model == model
    changes: dict[str, Any] = {} if known else {"refiner.model": model}
    if noise != (usual.high_noise_frac if usual else 0.8):
        changes["refiner.high_noise_frac"] = round(noise, 2)
    return changes
