"""Captions for the data set of the tab Train: photos that were dropped, described by a BLIP.

A job like the others: `visuals dataset caption`, done by the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from .....configs.schema import presets
from ...files import uploads
from ...queue.commands import Command
from ...queue.job_queue import BusyError, JobQueue, QueuedJob
from ...widgets import components
from ..create import EVERY, QUICK
from . import datasets, messages


@dataclass(frozen=True)
class CaptionCommand(Command):
    """A call of `visuals dataset caption`. `folder`: the data set; `out`, which is not said, names
    the job."""

    command: str = "dataset"
    folder: str = ""
    tag: str = ""
    overwrite: bool = False
    when_stopped: ClassVar[str] = "stopped; the captions so far are kept, and the same goes on"

    def words(self) -> list[str]:
        words = [self.command, "caption", self.folder, "--preset", self.preset]
        words += ["--tag", self.tag] if self.tag else []
        return [*words, "--overwrite"] if self.overwrite else words

    def task(self) -> dict[str, Any]:
        values = {"folder": self.folder, "tag": self.tag, "preset": self.preset}
        return {"kind": "caption", **values, "overwrite": self.overwrite}


def order(
    root: Path, text: str, tag: str, preset: str, *, overwrite: bool = False
) -> CaptionCommand:
    """The command that captions a data set; raises DatasetError, OSError."""
    folder = datasets.read(root, text).folder
    tag = " ".join(tag.split()).strip(" ,")
    return CaptionCommand(folder=str(folder), tag=tag, preset=preset, overwrite=overwrite)


def submit(desk: JobQueue, wish: CaptionCommand) -> QueuedJob:
    """Queue it, one at a time a data set; raises BusyError."""
    name = "captions-" + "-".join(Path(wish.folder).parts[-2:])
    return desk.submit(wish, out=desk.root / ".studio" / name)


def take(root: Path, files: Sequence[str]) -> tuple[str, list[str]]:
    """Bring sent photos, and zips of them, into a data set of their own: its name, and a line for
    each file that was refused; no name where all were."""
    upload = uploads.receive(root, [(Path(file).name, Path(file)) for file in files])
    if not upload.pictures:
        upload.folder.rmdir()
        return "", upload.refused
    out = root.parent / datasets.EXPORTED / f"photos-{upload.folder.name}"
    out.parent.mkdir(parents=True, exist_ok=True)
    upload.folder.rename(out)
    return out.relative_to(root.parent).as_posix(), upload.refused


def section(
    desk: JobQueue, data: gr.Dropdown, tag: gr.Textbox, said: gr.HTML, command: gr.Textbox
) -> Callable[[Callable[..., list[Any]], list[Any], list[Any]], None]:
    """Lay it out and wire it. Returns `when_done(do, inputs, outputs)`, which is to be called with
    what shows the captions anew."""
    at = gr.State("")
    timer = gr.Timer(EVERY, active=False)
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
            anew = gr.Checkbox(False, label="Those with captions too", min_width=160)
        with gr.Row():
            start = gr.Button("Write captions", min_width=130, elem_id="train-describe-start")
            stop = gr.Button("Stop", interactive=False, min_width=90)
        progress = gr.HTML(padding=False, elem_id="train-describe-progress")
    watched = [progress, start, stop, timer]

    def look_at(id_: str) -> list[Any]:
        job = desk.get(id_)
        working = job is not None and job.open
        return [
            components.progress(job, desk),
            gr.Button(interactive=not working),
            gr.Button(interactive=working),
            gr.Timer(active=working),
        ]

    def taken(files: list[str] | None) -> list[Any]:
        try:
            name, refused = take(desk.root, files or [])
        except OSError as error:
            return [gr.skip(), messages.wrong(error)]
        if not name:
            return [gr.skip(), components.refused(refused)]
        return [
            gr.Dropdown(choices=datasets.found(desk.root), value=name),
            components.refused(refused),
        ]

    def begin(text: str | None, word: str, chosen: str, all_: bool) -> list[Any]:
        try:
            wish = order(desk.root, text or "", word, chosen, overwrite=all_)
            job = submit(desk, wish)
        except (ValueError, OSError, BusyError) as error:
            return [messages.wrong(error), gr.skip(), gr.skip(), *[gr.skip()] * len(watched)]
        line = gr.Textbox(wish.line(), visible=True)
        return ["", line, job.id, *look_at(job.id)]

    def end(id_: str) -> list[Any]:
        desk.cancel(id_)
        return look_at(id_)

    send.upload(taken, send, [data, said], queue=False, api_visibility="private")
    start.click(begin, [data, tag, preset, anew], [said, command, at, *watched], **QUICK)
    stopped = stop.click(end, at, watched, **QUICK)
    ticked = timer.tick(look_at, at, watched, **QUICK)

    def when_done(do: Callable[..., list[Any]], inputs: list[Any], outputs: list[Any]) -> None:
        def shown(id_: str, *values: Any) -> list[Any]:
            job = desk.get(id_)
            return [gr.skip()] * len(outputs) if job is None or job.open else do(*values)

        for event in (ticked, stopped):
            event.then(shown, [at, *inputs], outputs, **QUICK)

    return when_done
