"""Automatic captions in the tab Train: photos that were dropped, described by BLIP.

It is a job like the others: `visuals dataset caption`, done by the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from .....checkpoints.hub.first_use import Needed
from .....configs.schema import presets
from ...files import uploads
from ...queue.job_queue import JobQueue, QueuedJob
from ...queue.requests import CaptionRequest
from ...visitor_settings import preset_settings
from ...widgets import components, download_offer
from ...widgets.components import QUICK, SLOW, Update, show_errors
from . import datasets


def request_of(
    root: Path, text: str, tag: str, preset: str, *, overwrite: bool = False
) -> CaptionRequest:
    """Return the request that captions a data set; raises DatasetError, SettingsError, OSError."""
    preset_settings(preset)
    folder = datasets.read(root, text).folder
    return CaptionRequest(str(folder), " ".join(tag.split()).strip(" ,"), preset, overwrite)


def submit(queue: JobQueue, request: CaptionRequest) -> QueuedJob:
    """Queue it; raises BusyError where the data set is being captioned already."""
    name = "captions-" + "-".join(Path(request.folder).parts[-2:])
    return queue.submit(request, out=queue.root / ".studio" / name)


def take(root: Path, files: Sequence[str]) -> tuple[str, list[str]]:
    """Make a data set of photos, and zips of them, that were sent.

    Returns:
        Its name, "" where all files were refused; and a line for each refused file.
    """
    upload = uploads.receive(root, [(Path(file).name, Path(file)) for file in files])
    if not upload.pictures:
        upload.folder.rmdir()
        return "", upload.refused
    out = root.parent / datasets.EXPORTED / f"photos-{upload.folder.name}"
    out.parent.mkdir(parents=True, exist_ok=True)
    upload.folder.rename(out)
    return out.relative_to(root.parent).as_posix(), upload.refused


def section(
    queue: JobQueue, data: gr.Dropdown, tag: gr.Textbox, message: gr.HTML, command: gr.Textbox
) -> Callable[[Callable[..., Update], list[Any], list[Any]], None]:
    """Lay it out and wire it.

    Returns:
        `when_done(do, inputs, outputs)`, to be called with what shows the captions anew.
    """
    at, offered = gr.State(""), gr.State("")
    timer = gr.Timer(components.EVERY, active=False)
    with gr.Accordion("Photos without captions", open=False, elem_id="train-describe"):
        send = gr.UploadButton(
            "Take photos, or a zip of them", file_count="multiple", size="sm",
            elem_id="train-photos",
        )  # fmt: skip
        with gr.Row():
            preset = gr.Dropdown(
                presets(), value="mini", label="Preset, whose BLIP describes", min_width=160,
                elem_id="train-blip",
            )  # fmt: skip
            overwrite = gr.Checkbox(False, label="Those with captions too", min_width=160)
        with gr.Row():
            start = gr.Button("Write captions", min_width=130, elem_id="train-describe-start")
            stop = gr.Button("Stop", interactive=False, min_width=90)
        progress = components.html("train-describe-progress")
    watched = [progress, start, stop, timer]

    def watch(id_: str) -> Update:
        job = queue.get(id_)
        working = job is not None and job.open
        return {
            progress: components.progress(job, queue),
            start: gr.Button(interactive=not working),
            stop: gr.Button(interactive=working),
            timer: gr.Timer(active=working),
        }

    def take_photos(files: list[str] | None) -> Update:
        name, refused = take(queue.root, files or [])
        update: Update = {message: components.refused(refused)}
        if name:
            update[data] = gr.Dropdown(choices=datasets.found(queue.root), value=name)
        return update

    def begin(before: str, text: str | None, word: str, chosen: str, all_: bool) -> Update:
        request = request_of(queue.root, text or "", word, chosen, overwrite=all_)
        offer = download_offer.offer(
            [Needed(preset_settings(chosen).caption.model)], "Write captions"
        )
        if offer and offer != before:
            return {message: offer, offered: offer}
        job = submit(queue, request)
        line = str(request)
        return {message: "", command: line, at: job.id, **watch(job.id)}

    def stop_job(id_: str) -> Update:
        queue.cancel(id_)
        return watch(id_)

    send.upload(show_errors(take_photos, message), send, [data, message], **SLOW)
    start.click(
        show_errors(begin, message), [offered, data, tag, preset, overwrite],
        [message, offered, command, at, *watched], **QUICK,
    )  # fmt: skip
    stopped = stop.click(stop_job, at, watched, **QUICK)
    ticked = timer.tick(watch, at, watched, **QUICK)

    def when_done(do: Callable[..., Update], inputs: list[Any], outputs: list[Any]) -> None:
        def update(id_: str, *values: Any) -> Update:
            job = queue.get(id_)
            return gr.skip() if job is None or job.open else do(*values)

        for event in (ticked, stopped):
            event.then(update, [at, *inputs], outputs, **QUICK)

    return when_done
