"""The tab Train: trains a LoRA on a data set, shows its progress, stops and resumes it."""

from __future__ import annotations

import dataclasses
import functools
from html import escape
from typing import Any

import gradio as gr

from .....checkpoints.hub.first_use import Needed
from .....configs.errors import UsageError
from .....configs.train import check as check_settings
from .....stages.shot import seed_or_random
from ...files import lora_library
from ...queue.job_queue import BusyError, JobQueue
from ...queue.requests import TrainRequest
from ...widgets import components, download_offer, seed_box
from ...widgets.components import LATEST, QUICK, SAVE, SLOW, Update, show_errors
from . import caption_editor, check_report, datasets, loss_chart, training_files
from . import form as train_form
from .form import Form

MOST = 24
"""Validation pictures shown, the newest."""
_NOTHING = ("", 0, 0, 0, False)


def tab(
    blocks: gr.Blocks, shown: gr.Tab, queue: JobQueue, at: gr.BrowserState, tabs: gr.Tabs,
    prompt: gr.Textbox,
) -> None:  # fmt: skip
    """Lay the tab out and wire it. `at` holds the name of the training that is shown; a finished
    LoRA is sent to `prompt`, of Create."""
    root = queue.root
    before, offered = gr.State(_NOTHING), gr.State("")
    timer = gr.Timer(components.EVERY, active=False)
    usual = Form()
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            data, tag, pictures = caption_editor.section(shown, queue)
            check = gr.Button("Check the data set", elem_id="train-check")
            checks = components.html("train-checks")
        with gr.Column(scale=5, min_width=320):
            earlier = gr.Dropdown(
                [], label="Trainings, newest first", visible=False, elem_id="train-earlier"
            )
            with gr.Row():
                name = gr.Textbox(
                    usual.name, label="Name of the LoRA", max_length=64, min_width=140,
                    elem_id="train-name",
                )  # fmt: skip
                model = gr.Dropdown(
                    train_form.models(), value=usual.model, label="Base model", min_width=180,
                    allow_custom_value=True, elem_id="train-model",
                )  # fmt: skip
            with gr.Row():
                dim = gr.Number(usual.network_dim, label="network_dim", precision=0,
                                min_width=110)  # fmt: skip
                alpha = gr.Number(usual.network_alpha, label="network_alpha",
                                  min_width=110)  # fmt: skip
                rate = gr.Textbox(usual.learning_rate, label="learning_rate", max_length=20,
                                  min_width=110)  # fmt: skip
            with gr.Row():
                steps = gr.Number(usual.max_train_steps, label="max_train_steps", precision=0,
                                  min_width=110, elem_id="train-steps")  # fmt: skip
                size = gr.Textbox(usual.resolution, label="resolution", max_length=20,
                                  min_width=110, elem_id="train-resolution")  # fmt: skip
                batch = gr.Number(usual.train_batch_size, label="train_batch_size", precision=0,
                                  min_width=110)  # fmt: skip
            seed, reuse = seed_box.box("train-seed", "of weights, noise and order")
            looks = gr.Textbox(
                label="Validation prompts, one a line", lines=2, max_lines=5, max_length=2000,
                placeholder="ppzlook, a red mug", elem_id="train-prompts",
                info="Drawn without and with the LoRA while it learns",
            )  # fmt: skip
            every = gr.Number(
                usual.every, label="Pictures, and a file to try, about every … steps",
                precision=0, elem_id="train-every",
            )  # fmt: skip
            with gr.Accordion("Other settings, and the file", open=False):
                more = gr.Textbox(
                    label="Other settings, YAML", lines=3, max_lines=12, max_length=4000,
                    placeholder="lr_scheduler: cosine\nmasked_loss: true\nvalidation_split: 0.1",
                    info="Any setting of docs/training.md", elem_id="train-more",
                )  # fmt: skip
                file = gr.Textbox(
                    label="The file of settings", interactive=False, lines=6, max_lines=24,
                    buttons=["copy"], elem_classes="command", elem_id="train-yaml",
                )  # fmt: skip
            with components.actions():
                wrong = components.html("train-wrong")
                off: Any = {"interactive": False, "min_width": 90}
                with gr.Row():
                    start = gr.Button(
                        "Start", variant="primary", min_width=90, elem_id="train-start"
                    )
                    stop = gr.Button("Stop", elem_id="train-stop", **off)
                    resume = gr.Button("Resume", elem_id="train-resume", **off)
                    send = gr.Button(
                        "Send to Create",
                        elem_id="train-send",
                        scale=2,
                        interactive=False,
                        min_width=150,
                    )
            progress = components.html("train-progress")
            plot = components.html("train-curve")
            gallery = components.gallery_box(
                "Validation pictures, newest first", "train-gallery", 4, buttons=SAVE
            )
            command = components.folded_command("train-command")
    form: list[Any] = [name, model, dim, alpha, rate, steps, size, batch, seed, looks, every, more]
    given = [data, tag, pictures, *form]
    watched = [progress, plot, gallery, command, start, stop, resume, send, timer, before]

    def values_of(text: str | None, tag: str, pictures: int, *values: Any) -> dict[str, Any]:
        return Form(*values).values(root, text or "", tag or "", pictures)

    def show_file(*values: Any) -> Update:
        """Show the file as it would be, and what is wrong with it."""
        try:
            settings = values_of(*values)
            check_settings(settings)
        except ValueError as error:
            return {wrong: components.error_message(error) if values[0] else ""}
        return {file: training_files.text_of(settings), wrong: ""}

    def check_dataset(*values: Any) -> Update:
        return {checks: check_report.report(datasets.check(check_settings(values_of(*values))))}

    def watch(id_: str, last: tuple[Any, ...] = _NOTHING) -> Update:
        training = training_files.read(root, id_) if id_ else None
        job = queue.get(id_)
        working = job is not None and job.open
        if training is None:
            off = gr.Button(interactive=False)
            return {
                **dict.fromkeys((progress, plot, command), ""),
                gallery: gr.Gallery(visible=False),
                start: gr.Button(interactive=True),
                **dict.fromkeys((stop, resume, send), off),
                timer: gr.Timer(active=False),
                before: _NOTHING,
            }
        now = (
            id_, len(training.loss), len(training.held_out), len(training.samples),
            training.lora is not None,
        )  # fmt: skip
        request = job.request if job else TrainRequest(str(training_files.config_of(root, id_)))
        status = f'<p class="head" role="status"><strong>{escape(training.status)}</strong></p>'
        update: Update = {
            progress: (components.progress(job, queue) or f'<div class="job">{status}</div>')
            + seed_box.seed_chip(training.values.get("seed")),
            command: str(request),
            start: gr.Button(interactive=not working),
            stop: gr.Button(
                "Stop now" if working and job and job.stopping else "Stop", interactive=working
            ),
            resume: gr.Button(interactive=not working and bool(training.checkpoints)),
            send: gr.Button(interactive=training.lora is not None),
            timer: gr.Timer(active=working),
            before: now,
        }
        if now != tuple(last):
            steps = training.values.get("max_train_steps")
            update[plot] = loss_chart.svg(training.loss, training.held_out, steps)
            update[gallery] = components.gallery(training.samples[:MOST])
        return update

    def submit(resuming: bool, offer_before: str, *values: Any) -> Update:
        settings = values_of(*values)
        id_ = str(values[3]).strip()
        if (job := queue.get(id_)) is not None and job.open:
            raise BusyError(f"{id_} is being trained: stop it first, or take another name")
        request = training_files.request_of(root, id_, resume=resuming)
        settings.setdefault("seed", used_seed(id_) if resuming else seed_or_random(-1))
        check_settings(settings)
        button = "Resume" if resuming else "Start"
        offer = download_offer.offer([Needed(settings["model"])], button)
        if offer and offer != offer_before:
            return {wrong: offer, offered: offer}
        training_files.write(root, settings)
        job = queue.submit(request, out=lora_library.folder(root) / id_)
        return {wrong: "", at: job.id, **watch(job.id)}

    def used_seed(id_: str) -> int:
        """Return the seed of a training; raises UsageError where there is none."""
        training = training_files.read(root, id_) if id_ else None
        if training is None:
            raise UsageError("no seed to reuse: nothing was trained here yet")
        return int(training.values.get("seed", 0))

    def stop_training(id_: str, last: tuple[Any, ...]) -> Update:
        queue.cancel(id_)
        return watch(id_, last)

    def choose_model(base: str) -> tuple[Any, ...]:
        return dataclasses.astuple(train_form.usual(base))[2:8]

    def choose_training(id_: str | None) -> Any:
        """Show an earlier training, in the form and on the right."""
        training = training_files.read(root, id_ or "")
        if training is None:
            return gr.skip()
        folder = str(training.values.get("train_data_dir", ""))
        try:
            number = datasets.read(root, folder).pictures
        except (ValueError, OSError):
            number = 1
        values = dataclasses.astuple(train_form.of_values(training.values, number))
        fields = dict(zip(form, values, strict=True))
        return {at: id_, data: folder, tag: training.tag, **fields, **watch(id_ or "")}

    def choices() -> Any:
        found = training_files.names(root)
        return gr.Dropdown(choices=found, value=None, visible=bool(found))

    def to_create(id_: str, text: str) -> Update:
        training = training_files.read(root, id_)
        if training is None or training.lora is None:
            raise UsageError("no LoRA is ready: train one first")
        return {tabs: gr.Tabs(selected="create"), prompt: training.called_in(text or "")}

    gr.on([field.change for field in given], show_file, given, [file, wrong], **LATEST)
    model.input(choose_model, model, [dim, alpha, rate, steps, size, batch], **QUICK)
    check.click(show_errors(check_dataset, checks), given, checks, **SLOW)
    for button, resuming in ((start, False), (resume, True)):
        begin = show_errors(functools.partial(submit, resuming), wrong)
        button.click(begin, [offered, *given], [wrong, offered, at, *watched], **QUICK)
    reuse.click(
        show_errors(lambda id_: {wrong: "", seed: used_seed(id_)}, wrong), at, [wrong, seed],
        **QUICK,
    )  # fmt: skip
    stop.click(stop_training, [at, before], watched, **QUICK)
    timer.tick(watch, [at, before], watched, **QUICK)
    for seen in (blocks.load, shown.select):
        seen(watch, at, watched, **QUICK)
    shown.select(choices, None, earlier, **QUICK)
    earlier.input(choose_training, earlier, [at, data, tag, *form, *watched], **QUICK)
    send.click(show_errors(to_create, wrong), [at, prompt], [wrong, tabs, prompt], **QUICK)
