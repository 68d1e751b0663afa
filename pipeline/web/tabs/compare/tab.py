"""The tab Compare: the same pictures by base, refiner and LoRA, at many weights and seeds."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from .....checkpoints import atomic_files as files
from .....configs.schema import load_settings, presets
from .....stages.diffusion.samplers import NAMES
from ....jobs import grid_files as cells
from ....jobs.grid import AXES, GridError
from ...files import lora_library
from ...queue.job_queue import BusyError, JobQueue
from ...widgets import components, prompt_preview
from ..create import EVERY, QUICK
from ..train import messages
from . import grid_command, grid_table
from .grid_command import GridCommand

PLANS = {
    "Base and fine-tuned": ("mini",),
    "Base, refined, fine-tuned": ("sdxl", "sdxl-refined"),
    "LoRA weights × seeds": ("mini",),
}
"""Ready-made questions, with the presets that they are asked of."""


def tab(blocks: gr.Blocks, shown: gr.Tab, desk: JobQueue, at: gr.BrowserState) -> None:
    """Lay the tab out and wire it. `at`: the id of the grid that is shown."""
    root = desk.root
    before = gr.State(("", -1, False))
    timer = gr.Timer(EVERY, active=False)
    known = prompt_preview.loras("mini")
    first = known[0] if known else ""
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            plan = gr.Radio(
                list(PLANS), value=next(iter(PLANS)), label="Compare", elem_id="compare-plan"
            )
            classes = gr.Dropdown(
                prompt_preview.classes("mini"), value=["mug"],
                multiselect=True, allow_custom_value=True,
                label="Product classes", elem_id="compare-classes",
            )  # fmt: skip
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
                    presets(), value=["mini"], multiselect=True, allow_custom_value=True,
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
            count = gr.HTML(padding=False, elem_id="compare-count")
            with gr.Row():
                draw = gr.Button("Draw", variant="primary", elem_id="compare-draw")
                cancel = gr.Button("Cancel", interactive=False, elem_id="compare-cancel")
        with gr.Column(scale=6, min_width=320):
            progress = gr.HTML(padding=False, elem_id="compare-progress")
            table = gr.HTML(padding=False, elem_id="compare-table")
            sheet = gr.Image(
                label="Sheet", type="filepath", interactive=False, visible=False, format="png",
                buttons=["download", "fullscreen"], alt_text="All pictures with their headings",
                elem_id="compare-sheet",
            )  # fmt: skip
            command = gr.Textbox(
                label="The same on the command line", interactive=False, lines=2, max_lines=6,
                buttons=["copy"], elem_classes="command", elem_id="compare-command",
            )  # fmt: skip
            earlier = gr.Dropdown(
                [], label="Earlier grids, newest first", elem_id="compare-earlier"
            )
    fields: list[Any] = [
        classes, prompt, loras, seeds, chosen, checkpoints, columns, steps, cfg, sampler, negative
    ]  # fmt: skip
    watched = [progress, table, sheet, command, cancel, timer, before]

    def asked(*values: Any) -> GridCommand:
        return order_of(root, *values)

    def counted(*values: Any) -> str:
        try:
            return f'<p class="preview">{escape(grid_command.summary(asked(*values).plan()))}</p>'
        except ValueError as error:
            return messages.wrong(error)

    def submit(*values: Any) -> list[Any]:
        try:
            order = asked(*values)
            order.check()
            job = desk.submit(order)
            files.write(job.folder / grid_table.COMMAND, job.order.line().encode())
        except (ValueError, BusyError) as error:
            return [messages.wrong(error), *[gr.skip()] * (1 + len(watched))]
        return [gr.skip(), job.id, *look_at(desk, job.id, ("", -1, False))]

    def stop(id_: str, before: tuple[str, int, bool]) -> list[Any]:
        desk.cancel(id_)
        return look_at(desk, id_, before)

    def planned(name: str, text: str) -> list[Any]:
        """A ready-made question as the form has it; one of other presets has their prompt."""
        wanted = PLANS[name]
        here = lora_library.names(root, wanted[0]) if wanted == ("mini",) else []
        now = next(iter(grid_command.lora_lines(text)), "").partition(":")[0].strip()
        of = now if now in here else (here[0] if here else "")
        many = name == list(PLANS)[2]
        line = f"{of}:{'0,0.25,0.5,0.75,1' if many else '0,1'}" if of else ""
        columns = "" if many else ("lora" if line else "preset")
        usual = load_settings(wanted[0]).generate.prompt
        return [list(wanted), usual, line, "0-3" if many else "0-1", columns]

    def list_earlier() -> Any:
        return gr.Dropdown(choices=list(grid_command.folders(root)), value=None)

    draw.click(submit, fields, [count, at, *watched], **QUICK)
    cancel.click(stop, [at, before], watched, **QUICK)
    timer.tick(lambda id_, b: look_at(desk, id_, b), [at, before], watched, **QUICK)
    for seen in (blocks.load, shown.select):
        seen(lambda id_: look_at(desk, id_, ("", -1, False)), at, watched, **QUICK)
    plan.input(planned, [plan, loras], [chosen, prompt, loras, seeds, columns], **QUICK)
    add.click(
        lambda text, name, w: "\n".join(x for x in (text.strip(), f"{name}:{w}") if x)
        if name
        else text,
        [loras, lora, weights], loras, **QUICK,
    )  # fmt: skip
    shown.select(list_earlier, None, earlier, **QUICK)
    shown.select(lambda: gr.Dropdown(choices=lora_library.names(root, "mini")), None, lora, **QUICK)
    earlier.input(
        lambda id_: [id_ or "", *look_at(desk, id_ or "", ("", -1, False))], earlier,
        [at, *watched], **QUICK,
    )  # fmt: skip
    for event in (*(field.change for field in fields), blocks.load):
        event(counted, fields, count, trigger_mode="always_last", **QUICK)


def order_of(
    root: Path,
    classes: list[str],
    prompt: str,
    loras: str,
    seeds: str,
    chosen: list[str],
    checkpoints: str,
    columns: str,
    steps: str,
    cfg: str,
    sampler: str,
    negative: str,
) -> GridCommand:
    """The form's values as an order; raises GridError."""
    lines = grid_command.lora_lines(loras or "")
    asked = {
        "generate.steps": _number("Steps", steps, int),
        "generate.cfg_scale": _number("CFG scale", cfg, float),
        "generate.sampler": sampler or None,
        "generate.negative_prompt": (negative or "").strip() or None,
    }
    prompts = tuple(line.strip() for line in (prompt or "").splitlines() if line.strip())
    names = [line.partition(":")[0].strip() for line in lines]
    preset = (chosen or ["mini"])[0]
    return GridCommand(
        classes=tuple(classes) if any("{class}" in text for text in prompts) else (),
        prompts=prompts,
        presets=tuple(chosen or ()),
        checkpoints=tuple(
            line.strip() for line in (checkpoints or "").splitlines() if line.strip()
        ),
        loras=lines,
        lora_dirs=lora_library.dirs_for(root, names, preset),
        seeds=grid_command.numbers(seeds or ""),
        columns=columns or None,
        changes={name: value for name, value in asked.items() if value is not None},
    )


def _number(name: str, text: str, kind: type[int] | type[float]) -> float | None:
    if not (text or "").strip():
        return None
    try:
        return kind(text)
    except ValueError:
        raise GridError(f"{name} {text!r}: expected a number, or nothing") from None


def look_at(desk: JobQueue, id_: str, before: tuple[str, int, bool]) -> list[Any]:
    """What the page shows of a grid: progress, cells, sheet, command, cancel button, timer, and
    what is shown now."""
    job = desk.get(id_)
    folder = (
        desk.root / id_
        if id_ in [*grid_command.folders(desk.root), *([job.id] if job else [])]
        else None
    )
    drawn = cells.read(folder) if folder else None
    working = job is not None and job.open
    whole = folder is not None and (folder / grid_command.SHEET).is_file()
    now = id_, len(drawn.cells) if drawn else -1, whole
    same = now == before
    return [
        components.progress(job, desk),
        gr.skip() if same else (grid_table.table(drawn) if drawn else ""),
        gr.skip()
        if same
        else gr.Image(
            str(folder / grid_command.SHEET) if whole and folder else None, visible=whole
        ),
        job.order.line() if job else grid_table.command(folder),
        gr.Button(interactive=working),
        gr.Timer(active=working),
        now,
    ]
