"""The tab Create: prompts become checked, re-rendered pictures."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import gradio as gr

from .....configs.schema import presets
from ....jobs.request import NEEDS
from ...files import lora_library
from ...files.run_folders import RunSummary
from ...queue import requests
from ...queue.job_queue import JobQueue
from ...visitor_settings import preset_settings
from ...widgets import before_after as slider
from ...widgets import (
    components,
    cutout_box,
    download_offer,
    preset_notes,
    prompt_preview,
    seed_box,
)
from ...widgets.browser_state import browser_state, keep_fields
from ...widgets.components import LATEST, QUICK, Update
from ...widgets.text_lines import lines
from . import png_info
from .fill_in import CreateForm
from .form import request_of, usual_values
from .layout import STRENGTH, Layout

CTRL_ENTER = """() => document.addEventListener("keydown", (event) => {
  const make = document.querySelector("#create-make");
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && make?.offsetParent) make.click();
})"""


SHOW_PROGRESS = "() => { if (innerWidth <= 720) scrollTo({ top: 0, behavior: 'smooth' }); }"
"""On a telephone the pictures are above the form."""


def browser_states(root: Path) -> tuple[gr.BrowserState, gr.BrowserState]:
    """Return what the browser keeps: the id of the job and the values of the form."""
    return browser_state(root, "create"), browser_state(root, "create.form")


class CreateTab:
    """The tab, laid out and wired.

    Attributes:
        form: its fields, as other tabs fill them in.
        photo: the example that another tab shows; its event is `input`.
    """

    def __init__(
        self,
        blocks: gr.Blocks,
        queue: JobQueue,
        jobs: gr.HTML,
        job_id: gr.BrowserState,
        kept: gr.BrowserState,
    ) -> None:
        """Lay out and wire. `jobs` tells of each change of their number."""
        self.queue, self.job_id = queue, job_id
        self.layout = layout = Layout(queue.root)
        self.fields = list(layout.fields.values())
        self.form = CreateForm(layout.fields, layout.filled)
        self.photo = layout.examples.photo
        self._wire_jobs(blocks, jobs)
        self._wire_form(blocks, kept)

    def _wire_jobs(self, blocks: gr.Blocks, jobs: gr.HTML) -> None:
        layout, job_id, watched = self.layout, self.job_id, self.layout.watched
        begun = [layout.answer, layout.offered, job_id, layout.picked, *watched]
        layout.make.click(
            components.show_errors(self.submit, layout.answer),
            [layout.offered, layout.behind, *self.fields], begun, **QUICK,
        )  # fmt: skip
        layout.make.click(None, None, None, js=SHOW_PROGRESS, **QUICK)
        for card, values in layout.examples.drawn:
            card.input(
                functools.partial(self.run_example, values), None, [*begun, *self.fields], **QUICK
            )
        seen = [job_id, layout.shown]
        layout.cancel.click(
            components.show_errors(self.stop_or_resume, layout.answer), seen,
            [layout.answer, *watched], **QUICK,
        )  # fmt: skip
        gr.on([layout.timer.tick, jobs.input], self.watch, seen, watched, **QUICK)
        blocks.load(self.watch, job_id, watched, **QUICK)
        layout.made.select(self.select, job_id, [layout.picked, layout.before_after], **QUICK)
        told_by: list[Any] = [layout.classes, layout.count, layout.edit]
        for_button = [*(field.change for field in told_by), jobs.input, blocks.load]
        gr.on(for_button, self.button_text, told_by, layout.make, **LATEST)

    def _wire_form(self, blocks: gr.Blocks, kept: gr.BrowserState) -> None:
        layout = self.layout
        layout.reuse.click(
            components.show_errors(self.reuse_seed, layout.answer),
            [self.job_id, layout.picked], [layout.answer, layout.seed], **QUICK,
        )  # fmt: skip
        blocks.load(self.restore, kept, [*self.fields, layout.lora], **QUICK)
        keep_fields(layout.fields, kept)
        layout.picture.upload(
            components.show_errors(self.fill_in, layout.filled), [layout.picture, layout.preset],
            self.form.outputs, **QUICK,
        )  # fmt: skip
        drop = Path(__file__).with_name("drop_picture.js").read_text(encoding="utf-8")
        blocks.load(None, None, None, js=drop, **QUICK)
        blocks.load(None, None, None, js=CTRL_ENTER, **QUICK)
        of_preset = [layout.fields[name] for name in usual_values("mini")]
        layout.preset.select(  # `input` comes when the field is merely left, too
            self.change_preset, None, [layout.classes, layout.lora, *of_preset], **QUICK
        )
        preset_notes.keep_label(layout.preset, layout.strength, STRENGTH)
        layout.add.click(
            lambda text, name, w: f"{text}, <lora:{name}:{w:g}>" if name else text,
            [layout.prompt, layout.lora, layout.weight], layout.prompt, **QUICK,
        )  # fmt: skip
        words: list[Any] = [layout.prompt, layout.classes, layout.edit, layout.preset]
        changed = [field.change for field in words]
        gr.on([*changed, blocks.load], self.preview, words, layout.preview, **LATEST)

    def watch(self, id_: str, before: tuple[Any, ...] = ("", -1)) -> Update:
        """Show a job, or the examples where there is none; `before` is shown already."""
        job, layout = self.queue.get(id_), self.layout
        if job is None:
            return {
                layout.examples.column: gr.Column(visible=True),
                layout.state: "",
                layout.command: "",
                layout.cancel: gr.Button("Cancel", interactive=False),
                layout.timer: gr.Timer(active=False),
            }
        records = job.records()
        pictures = components.pictures_of(job, records)
        out = {
            layout.examples.column: gr.Column(visible=False),
            layout.state: components.progress(job, self.queue)
            + seed_box.chip(job.request)
            + (components.facts(records) if records else ""),
            layout.command: str(job.request),
            layout.cancel: gr.Button(
                "Resume" if job.resumable else "Cancel", interactive=job.open or job.resumable
            ),
            layout.timer: gr.Timer(active=job.open),
            layout.shown: (job.id, len(records), pictures),
        }
        if out[layout.shown] != before:
            out[layout.made] = components.gallery(pictures)
            if before[0] != job.id or before[1] <= 0:
                out[layout.before_after] = slider.update(RunSummary(job.folder, records))
        return out

    def submit(self, before: str, behind: str | None, *values: Any) -> Update:
        """Queue the run that the form asks for, or offer the models that it lacks."""
        layout = self.layout
        request = lora_library.with_folders(self.queue.root, request_of(*values))
        requests.check(request)
        offer = download_offer.offer(requests.needed_models(request), "Make")
        if offer and offer != before:
            return {layout.answer: offer, layout.offered: offer}
        cutout = dict(zip(layout.fields, values, strict=True))["cutout"]
        job = self.queue.submit(cutout_box.with_picture(self.queue.root, request, cutout, behind))
        return {layout.answer: "", self.job_id: job.id, layout.picked: 0, **self.watch(job.id)}

    def run_example(self, values: dict[str, Any]) -> Update:
        """Fill the form in with an example and queue it."""
        values = {"edit": "", "cutout": "", "preset": "mini", **usual_values("mini"), **values}
        filled = {field: values[name] for name, field in self.layout.fields.items()}
        submit = components.show_errors(self.submit, self.layout.answer)
        return {**filled, **submit("", None, *filled.values())}

    def preview(self, template: str, names: list[str], edits: str, preset: str) -> str:
        """Return the prompt as the model reads it, and notes on the preset."""
        notes = preset_notes.notes([preset_settings(preset)], ("generate", *NEEDS["run"]))
        return prompt_preview.preview(template, names, edits, preset) + notes

    def button_text(self, names: list[str] | None, number: float | None, edits: str) -> str:
        """Return what pressing the button will do."""
        variants = max(1, len(names or ())) * max(1, len(lines(edits)))
        what = requests.pictures(int(number or 0) * variants)
        waiting = sum(job.open for job in self.queue)
        after = f", after {waiting} job{'s' * (waiting != 1)}"
        return f"Queue {what}{after}" if waiting else f"Make {what}"

    def stop_or_resume(self, id_: str, before: tuple[Any, ...]) -> Update:
        """Stop the job that is shown, or go on with it."""
        if not self.queue.cancel(id_):
            self.queue.resume(id_)
        return {self.layout.answer: "", **self.watch(id_, before)}

    def select(self, id_: str, event: gr.SelectData) -> Update:
        """Show before and after of the picture that is chosen in the gallery."""
        job, layout = self.queue.get(id_), self.layout
        if job is None:
            return {layout.picked: 0}
        run = RunSummary(job.folder, job.records())
        return {layout.picked: event.index, layout.before_after: slider.update(run, event.index)}

    def reuse_seed(self, id_: str, number: int) -> Update:
        """Take the seed of the picture that is chosen in the gallery, at first the first one's."""
        job = self.queue.get(id_)
        records = components.shown(RunSummary(job.folder, job.records())) if job else []
        used = records[number].seed if number < len(records) else seed_box.used(job)
        return {self.layout.answer: "", self.layout.seed: used}

    def fill_in(self, path: str, name: str) -> Update:
        """Set the fields to those of a picture (A1111's PNG info)."""
        return self.form.fill_in(Path(path).name, *png_info.read(Path(path), name))

    def change_preset(self, event: gr.SelectData) -> Update:
        """Fill in what is usual for a preset, whose name the field itself may hold only later."""
        name = str(event.value)
        usual = {self.layout.fields[field]: v for field, v in usual_values(name).items()}
        return {**usual, **self._choices(name, {})}

    def restore(self, values: Any) -> Any:
        """After a reload: fill the form in as it was left."""
        if not isinstance(values, dict) or values.get("preset") not in presets():
            return gr.skip()
        filled = {field: values[n] for n, field in self.layout.fields.items() if n in values}
        chosen = {"value": values.get("classes") or []}
        return {**filled, **self._choices(values["preset"], chosen)}

    def _choices(self, preset: str, classes: dict[str, Any]) -> Update:
        """Update what can be chosen with a preset: classes and LoRAs."""
        loras = lora_library.names(self.queue.root, preset)
        known = prompt_preview.classes(preset)
        return {
            self.layout.classes: gr.Dropdown(choices=known, **classes),
            self.layout.lora: gr.Dropdown(choices=loras, value=None),
        }
