"""The tab Compare: the same pictures by base, refiner and LoRA, at many weights and seeds."""

from __future__ import annotations

import inspect
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from .....checkpoints import atomic_files
from .....configs.schema import load_settings, presets
from .....stages.diffusion.samplers import NAMES
from ....jobs import grid_files
from ....jobs.draw_grid import GridRequest, check_grid, plan_grid
from ....jobs.grid import AXES
from ...files import lora_library
from ...queue.job_queue import JobQueue
from ...queue.requests import SHEET, needed_models
from ...widgets import components, download_offer, preset_notes
from ...widgets.browser_state import browser_state, keep_fields
from ...widgets.components import LATEST, QUICK, SAVE, Update
from ...widgets.text_lines import lines
from . import grid_form, grid_table

PLANS = {
    "Base and fine-tuned": ("mini",),
    "Base, refined, fine-tuned": ("sdxl", "sdxl-refined"),
    "LoRA weights × seeds": ("mini",),
}
"""Ready-made comparisons, with their presets."""
NOTHING = '<p class="said">The grid appears here as it is drawn.</p>'

_NOTHING = ("", -1, False)


def browser_states(root: Path) -> tuple[gr.BrowserState, gr.BrowserState]:
    """Return what the browser keeps: the id of the grid that is shown, and the form's values."""
    return browser_state(root, "compare"), browser_state(root, "compare.form", {})


def tab(
    blocks: gr.Blocks, shown: gr.Tab, queue: JobQueue, at: gr.BrowserState, kept: gr.BrowserState
) -> None:
    """Lay the tab out and wire it; `at` and `kept` are its `browser_states`."""
    root = queue.root
    before = gr.State(_NOTHING)
    offered = gr.State("")
    timer = gr.Timer(components.EVERY, active=False)
    known = lora_library.of_preset("mini")
    first = known[0] if known else ""
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            plan = gr.Radio(
                list(PLANS), value=next(iter(PLANS)), label="Compare", elem_id="compare-plan"
            )
            classes = components.class_box("Product classes", "compare-classes")
            prompt = gr.Textbox(
                load_settings("mini").generate.prompt, lines=3, max_lines=8, max_length=4000,
                label="Prompts, one a line", elem_id="compare-prompt",
                info="{class} becomes the class; a LoRA's own tag gets the weight of the cell",
            )  # fmt: skip
            loras = gr.Textbox(
                f"{first}:0,1" if first else "", lines=2, max_lines=6, elem_id="compare-loras",
                label="LoRAs and weights, one a line", placeholder="look:0,0.5,1",
                info="Weight 0 is the base without it; a second line is chained to the first",
            )  # fmt: skip
            seeds = gr.Textbox("0-1", label="Seeds", max_length=500, elem_id="compare-seeds")
            with gr.Accordion("LoRAs that are here", open=False), gr.Row():
                lora = gr.Dropdown(lora_library.names(root, "mini"), label="LoRA", min_width=140)
                weights = gr.Textbox("0,0.5,1", label="Weights", min_width=120, max_length=200)
                add = gr.Button("Add a line", min_width=120)
            with gr.Accordion("Presets, checkpoints, settings", open=False):
                chosen = gr.Dropdown(
                    presets(), value=["mini"], multiselect=True,
                    label="Presets", elem_id="compare-presets",
                    info="sdxl beside sdxl-refined shows what the refiner does",
                )  # fmt: skip
                checkpoints = gr.Textbox(
                    label="Checkpoints in place of the presets', one a line", lines=1, max_lines=6,
                    placeholder="mini/sd", elem_id="compare-checkpoints",
                )  # fmt: skip
                columns = gr.Dropdown(
                    [("as it fits", ""), *AXES], value="lora", label="Columns",
                    elem_id="compare-columns",
                )  # fmt: skip
                with gr.Row():
                    steps = gr.Textbox(
                        label="Steps", placeholder="the preset's", max_length=5, min_width=110,
                        elem_id="compare-steps",
                    )  # fmt: skip
                    cfg = gr.Textbox(
                        label="CFG scale", placeholder="the preset's", max_length=5, min_width=110
                    )
                    sampler = gr.Dropdown(
                        [("the preset's", ""), *NAMES], value="", label="Sampler", min_width=150
                    )
                negative = gr.Textbox(label="Negative prompt", placeholder="the preset's")
            with components.actions():
                count = components.html("compare-count")
                with gr.Row():
                    draw = gr.Button("Draw", variant="primary", elem_id="compare-draw")
                    cancel = gr.Button("Cancel", interactive=False, elem_id="compare-cancel")
        with gr.Column(scale=6, min_width=320):
            earlier = gr.Dropdown(
                [], label="Earlier grids, newest first", visible=False, elem_id="compare-earlier"
            )
            state = components.html("compare-progress")
            table = components.html("compare-table")
            with gr.Accordion("The sheet, as one picture", open=False, visible=False) as folded:
                sheet = gr.Image(
                    show_label=False, type="filepath", interactive=False, format="png",
                    buttons=SAVE, alt_text="All pictures with their headings",
                    elem_id="compare-sheet",
                )  # fmt: skip
            command = components.folded_command("compare-command")
    fields: list[Any] = [
        classes, prompt, loras, seeds, chosen, checkpoints, columns, steps, cfg, sampler, negative
    ]  # fmt: skip
    names = [*inspect.signature(grid_form.request_of).parameters][1:]  # but for the folder
    form = {"plan": plan, **dict(zip(names, fields, strict=True))}
    watched = [state, table, folded, sheet, command, cancel, timer, before]

    def request_of(*values: Any) -> GridRequest:
        return grid_form.request_of(root, *values)

    def show_count(*values: Any) -> Update:
        request = request_of(*values)
        summary = grid_form.summary(plan_grid(request))
        models = request.checkpoints or (None,)
        drawn = (request.settings(preset, model) for preset in request.presets for model in models)
        notes = preset_notes.notes(drawn, ("generate",))
        return {count: f'<p class="preview">{escape(summary)}</p>{notes}'}

    def watch(id_: str, last: tuple[str, int, bool] = _NOTHING) -> Update:
        job = queue.get(id_)
        folder = root / id_ if job or id_ in grid_table.folders(root) else None
        drawn = grid_files.read(folder) if folder else None
        file = folder / SHEET if folder and (folder / SHEET).is_file() else None
        now = id_, len(drawn.cells) if drawn else -1, file is not None
        update: Update = {
            state: components.progress(job, queue) or ("" if drawn else NOTHING),
            command: str(job.request) if job else grid_table.command(folder),
            cancel: gr.Button(interactive=job is not None and job.open),
            timer: gr.Timer(active=job is not None and job.open),
            before: now,
        }
        if now != last:
            update[table] = grid_table.table(drawn) if drawn else ""
            update[folded] = gr.Accordion(visible=file is not None)
            update[sheet] = str(file) if file else None
        return update

    def submit(earlier: str, *values: Any) -> Update:
        request = request_of(*values)
        check_grid(request)
        offer = download_offer.offer(needed_models(request), "Draw")
        if offer and offer != earlier:
            return {count: offer, offered: offer}
        job = queue.submit(request)
        atomic_files.write(job.folder / grid_table.COMMAND, str(job.request).encode())
        return {at: job.id, **show_count(*values), **watch(job.id)}

    def stop(id_: str, last: tuple[str, int, bool]) -> Update:
        queue.cancel(id_)
        return watch(id_, last)

    def choose_plan(name: str, text: str) -> Update:
        """Fill the form in for a ready-made comparison; one of other presets has their prompt."""
        names = PLANS[name]
        here = lora_library.names(root, "mini") if names == ("mini",) else []
        now = next(iter(lines(text)), "").partition(":")[0].strip()
        of = now if now in here else next(iter(here), "")
        many = name == list(PLANS)[2]
        line = f"{of}:{'0,0.25,0.5,0.75,1' if many else '0,1'}" if of else ""
        return {
            chosen: list(names),
            prompt: load_settings(names[0]).generate.prompt,
            loras: line,
            seeds: "0-3" if many else "0-1",
            columns: "" if many else ("lora" if line else "preset"),
        }

    def restore(values: Any) -> Any:
        """After a reload: fill the form in as it was left."""
        if not isinstance(values, dict) or not set(values.get("chosen", ())) <= set(presets()):
            return gr.skip()
        return {field: values[name] for name, field in form.items() if name in values} or gr.skip()

    def add_lora(text: str, name: str, weights: str) -> str:
        line = f"{name}:{weights}" if name else ""
        return "\n".join(part for part in (text.strip(), line) if part)

    def choices() -> Update:
        found = grid_table.folders(root)
        return {
            earlier: gr.Dropdown(choices=found, value=None, visible=bool(found)),
            lora: gr.Dropdown(choices=lora_library.names(root, "mini")),
        }

    draw.click(
        components.show_errors(submit, count),
        [offered, *fields],
        [count, offered, at, *watched],
        **QUICK,
    )
    cancel.click(stop, [at, before], watched, **QUICK)
    timer.tick(watch, [at, before], watched, **QUICK)
    for seen in (blocks.load, shown.select):
        seen(watch, at, watched, **QUICK)
    plan.input(choose_plan, [plan, loras], [chosen, prompt, loras, seeds, columns], **QUICK)
    add.click(add_lora, [loras, lora, weights], loras, **QUICK)
    shown.select(choices, None, [earlier, lora], **QUICK)
    keep_fields(form, kept)
    blocks.load(restore, kept, [plan, *fields], **QUICK)
    earlier.input(lambda id_: {at: id_ or "", **watch(id_ or "")}, earlier, [at, *watched], **QUICK)
    changed = [*(field.change for field in fields), blocks.load]
    gr.on(changed, components.show_errors(show_count, count), fields, count, **LATEST)
