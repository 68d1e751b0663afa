"""The tab Train: a LoRA from a data set, watched while it learns, stopped and gone on with."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...queue.job_queue import BusyError, JobQueue
from ...widgets import components
from ..create import EVERY, QUICK
from . import caption_editor, datasets, loss_chart, messages, training_files
from . import form as train_form
from .form import Form

MOST = 24
"""Validation pictures shown, the newest."""
_NOTHING = ("", 0, 0, 0, False)


def tab(
    blocks: gr.Blocks,
    shown: gr.Tab,
    desk: JobQueue,
    at: gr.BrowserState,
    tabs: gr.Tabs,
    prompt: Any,
) -> None:
    """Lay the tab out and wire it. `at`: the name of the training that is shown; `prompt`: of
    Create, where a LoRA is sent."""
    root = desk.root
    before = gr.State(_NOTHING)
    timer = gr.Timer(EVERY, active=False)
    usual = Form()
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            data = caption_editor.section(blocks, shown, desk)
            check = gr.Button("Check the data set", elem_id="train-check")
            checks = gr.HTML(padding=False, elem_id="train-checks")
        with gr.Column(scale=5, min_width=320):
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
                dim = gr.Number(usual.network_dim, label="network_dim", precision=0, minimum=1,
                                maximum=1024, min_width=110)  # fmt: skip
                alpha = gr.Number(usual.network_alpha, label="network_alpha", minimum=0,
                                  min_width=110)  # fmt: skip
                rate = gr.Textbox(usual.learning_rate, label="learning_rate", max_length=20,
                                  min_width=110)  # fmt: skip
            with gr.Row():
                steps = gr.Number(usual.max_train_steps, label="max_train_steps", precision=0,
                                  minimum=1, min_width=110, elem_id="train-steps")  # fmt: skip
                size = gr.Textbox(usual.resolution, label="resolution", max_length=20,
                                  min_width=110, elem_id="train-resolution")  # fmt: skip
                batch = gr.Number(usual.train_batch_size, label="train_batch_size", precision=0,
                                  minimum=1, min_width=110)  # fmt: skip
                seed = gr.Number(0, label="seed", precision=0, minimum=0, min_width=90)
            looks = gr.Textbox(
                label="Validation prompts, one a line", lines=2, max_lines=5, max_length=2000,
                placeholder="ppzlook, a red mug", elem_id="train-prompts",
                info="Drawn without and with the LoRA while it learns",
            )  # fmt: skip
            every = gr.Number(
                usual.every, label="Pictures, and a file to try, about every … steps",
                precision=0, minimum=1, elem_id="train-every",
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
            wrong = gr.HTML(padding=False, elem_id="train-wrong")
            with gr.Row():
                start = gr.Button("Start", variant="primary", min_width=90, elem_id="train-start")
                stop = gr.Button("Stop", interactive=False, min_width=90,
                                 elem_id="train-stop")  # fmt: skip
                resume = gr.Button("Resume", interactive=False, min_width=90,
                                   elem_id="train-resume")  # fmt: skip
                send = gr.Button("Send to Create", interactive=False, min_width=120,
                                 elem_id="train-send")  # fmt: skip
            progress = gr.HTML(padding=False, elem_id="train-progress")
            plot = gr.HTML(padding=False, elem_id="train-curve")
            gallery = gr.Gallery(
                label="Validation pictures, newest first", columns=4, height="auto",
                object_fit="contain", interactive=False, visible=False,
                buttons=["download", "fullscreen"], elem_id="train-gallery",
            )  # fmt: skip
            command = gr.Textbox(
                label="The same on the command line", interactive=False, lines=1, max_lines=4,
                buttons=["copy"], elem_classes="command", elem_id="train-command",
            )  # fmt: skip
            earlier = gr.Dropdown([], label="Trainings, newest first", elem_id="train-earlier")
    form: list[Any] = [name, model, dim, alpha, rate, steps, size, batch, seed, looks, every, more]
    given = [data.data, data.tag, data.pictures, *form]
    watched = [progress, plot, gallery, command, start, stop, resume, send, timer, before]

    def values_of(text: str | None, tag: str, pictures: int, *values: Any) -> dict[str, Any]:
        return Form(*values).values(root, text or "", tag or "", pictures)

    def written(*values: Any) -> list[Any]:
        """The file as it would be, and what is wrong with it."""
        from .....configs.train import check as checked

        try:
            settings = values_of(*values)
            checked(settings)
        except ValueError as error:
            return [gr.skip(), messages.wrong(error) if values[0] else ""]
        return [training_files.text_of(settings), ""]

    def looked(*values: Any) -> str:
        from .....configs.train import check as checked

        try:
            return messages.report(datasets.check(checked(values_of(*values))))
        except (ValueError, OSError) as error:
            return messages.wrong(error)

    def begin(*values: Any) -> list[Any]:
        return submit(False, *values)

    def go_on(*values: Any) -> list[Any]:
        return submit(True, *values)

    def submit(resuming: bool, *values: Any) -> list[Any]:
        try:
            settings = values_of(*values)
            called = str(values[3]).strip()
            if (job := desk.get(called)) is not None and job.open:
                raise BusyError(f"{called} is being trained: stop it first, or take another name")
            order = training_files.order(root, called, resume=resuming)
            training_files.write(root, settings)
            job = desk.submit(order, out=training_files.lora_library.folder(root) / called)
        except (ValueError, OSError, BusyError) as error:
            return [messages.wrong(error), *[gr.skip()] * (1 + len(watched))]
        return ["", job.id, *look_at(desk, job.id, _NOTHING)]

    def end(id_: str, before: tuple[Any, ...]) -> list[Any]:
        desk.cancel(id_)
        return look_at(desk, id_, before)

    def chosen_model(model: str) -> list[Any]:
        return train_form.field_values(train_form.usual(model))[2:8]

    def chosen_training(called: str | None) -> list[Any]:
        """A training of before, in the form and on the right."""
        training = training_files.read(root, called or "")
        if training is None:
            return [gr.skip()] * (3 + len(form) + len(watched))
        place = str(training.values.get("train_data_dir", ""))
        try:
            pictures = datasets.read(root, place).pictures
        except (ValueError, OSError):
            pictures = 1
        values = train_form.field_values(train_form.of_values(training.values, pictures))
        return [called, place, training.tag, *values, *look_at(desk, called or "", _NOTHING)]

    def to_create(called: str, text: str) -> list[Any]:
        training = training_files.read(root, called)
        if training is None or training.lora is None:
            raise gr.Error("no LoRA is ready: train one first", duration=None)
        return [gr.Tabs(selected="create"), messages.called_by(training, text or "")]

    for event in (data.data.change, data.tag.change, data.pictures.change,
                  *(field.change for field in form)):  # fmt: skip
        event(written, given, [file, wrong], trigger_mode="always_last", **QUICK)
    model.input(chosen_model, model, [dim, alpha, rate, steps, size, batch], **QUICK)
    check.click(looked, given, checks, queue=False, api_visibility="private")
    start.click(begin, given, [wrong, at, *watched], **QUICK)
    resume.click(go_on, given, [wrong, at, *watched], **QUICK)
    stop.click(end, [at, before], watched, **QUICK)
    timer.tick(lambda id_, b: look_at(desk, id_, b), [at, before], watched, **QUICK)
    for seen in (blocks.load, shown.select):
        seen(lambda id_: look_at(desk, id_, _NOTHING), at, watched, **QUICK)
    shown.select(
        lambda: gr.Dropdown(choices=training_files.names(root), value=None), None, earlier, **QUICK
    )
    earlier.input(chosen_training, earlier, [at, data.data, data.tag, *form, *watched], **QUICK)
    send.click(to_create, [at, prompt], [tabs, prompt], **QUICK)


def look_at(desk: JobQueue, name: str, before: tuple[Any, ...]) -> list[Any]:
    """What the page shows of a training: progress, curve, pictures, command, the four buttons,
    timer, and what is shown now."""
    training = training_files.read(desk.root, name) if name else None
    job = desk.get(name)
    working = job is not None and job.open
    if training is None:
        return ["", "", gr.Gallery(visible=False), "", gr.Button(interactive=True),
                *[gr.Button(interactive=False)] * 3, gr.Timer(active=False), _NOTHING]  # fmt: skip
    now = (
        name, len(training.loss), len(training.held_out), len(training.samples),
        training.lora is not None,
    )  # fmt: skip
    same = now == tuple(before)
    order = training_files.TrainCommand(config=str(training_files.config_of(desk.root, name)))
    stopping = working and job is not None and job.stopping
    return [
        components.progress(job, desk) if job else messages.rested(training),
        gr.skip() if same else loss_chart.svg(
            training.loss, training.held_out, training.values.get("max_train_steps")
        ),
        gr.skip() if same else gr.Gallery(
            [
                (str(s.path), f"epoch {s.epoch} · prompt {s.prompt} · weight {s.weight:g}")
                for s in training.samples[:MOST]
            ],
            visible=bool(training.samples),
        ),
        job.order.line() if job else order.line(),
        gr.Button(interactive=not working),
        gr.Button("Stop now" if stopping else "Stop", interactive=working),
        gr.Button(interactive=not working and bool(training.checkpoints)),
        gr.Button(interactive=training.lora is not None),
        gr.Timer(active=working),
        now,
    ]  # fmt: skip
