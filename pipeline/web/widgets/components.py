"""Parts that several tabs share: progress, captions, galleries, messages, marked pictures."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from ....configs.errors import VisualsError, one_line
from ....stages.shot import Detection
from ...images.read import PictureError, read_image
from ...reports.overlay import overlay
from ...runner.summary import duration
from ...runs.manifest import ManifestRecord
from ..error_text import public_text
from ..files.run_folders import RunSummary
from ..queue.job_queue import JobQueue, QueuedJob
from .prompt_preview import classes

QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Options of an event that is answered at once."""
SLOW: dict[str, Any] = {"queue": False, "api_visibility": "private"}
"""Options of an event that takes seconds, for which Gradio shows its own progress."""
LATEST: dict[str, Any] = {**QUICK, "trigger_mode": "always_last"}
"""Options of an event that comes often, of which the last counts; see `show_latest`."""
SAVE: Any = ["download", "fullscreen"]
"""Buttons of pictures that are worth saving."""
EVERY = 0.8
"""Seconds between two looks at a job."""

Update = dict[Any, Any]
"""New values or properties by component, as Gradio takes them; the others stay as they are."""

VERBS = {
    "download": "Downloading",
    "load": "Reading",
    "generate": "Generating",
    "detect": "Detecting",
    "verify": "Verifying",
    "segment": "Masking",
    "mask": "Choosing masks",
    "rerender": "Re-rendering",
    "encode": "Encoding",
    "train": "Training",
    "caption": "Captioning",
}
_HEADS = {
    "queued": "Waiting",
    "running": "Working",
    "done": "Done",
    "failed": "Failed",
    "stopped": "Stopped",
    "crashed": "Crashed",
}


def command_box(elem_id: str, **options: Any) -> gr.Textbox:
    """Return the box that shows the equal command, to be folded away."""
    return gr.Textbox(
        label="Command", show_label=False, container=False, interactive=False, lines=2,
        max_lines=6, buttons=["copy"], elem_classes="command", elem_id=elem_id, **options,
    )  # fmt: skip


def command_fold(elem_id: str) -> gr.Accordion:
    """Return a closed place for the box of that id."""
    return gr.Accordion("The same on the command line", open=False, elem_id=f"{elem_id}-fold")


def folded_command(elem_id: str) -> gr.Textbox:
    """Return the box that shows the equal command, folded away."""
    with command_fold(elem_id):
        return command_box(elem_id)


def actions() -> gr.Column:
    """Return a place for a form's buttons, and their message, that is always in sight."""
    return gr.Column(elem_classes="actions")


def html(elem_id: str) -> gr.HTML:
    """Return a place for HTML."""
    return gr.HTML(padding=False, elem_id=elem_id)


def scripted_html(
    module: str, value: dict[str, Any], elem_id: str, scripts: Sequence[str] = (), **options: Any
) -> Any:
    """Return a component made of the .html and .js files beside a module, or of more `scripts`."""
    file = Path(module)
    template = file.with_suffix(".html").read_text("utf-8")
    names = scripts or (file.with_suffix(".js").name,)
    script = "\n".join(file.with_name(name).read_text("utf-8") for name in names)
    return gr.HTML(
        value, html_template=template, js_on_load=script, apply_default_css=False, padding=False,
        elem_id=elem_id, **options,
    )  # fmt: skip


def class_box(label: str, elem_id: str) -> gr.Dropdown:
    """Return the field of product classes."""
    return gr.Dropdown(
        classes("mini"), value=["mug"], multiselect=True, allow_custom_value=True, min_width=180,
        label=label, elem_id=elem_id,
    )  # fmt: skip


def gallery_box(label: str, elem_id: str, columns: int, **options: Any) -> gr.Gallery:
    """Return a gallery, hidden until it has pictures."""
    return gr.Gallery(
        label=label, columns=columns, height="auto", object_fit="contain", interactive=False,
        visible=False, elem_id=elem_id, **options,
    )  # fmt: skip


def progress(job: QueuedJob | None, queue: JobQueue) -> str:
    """Return a job's state as HTML: a bar a stage, the remaining time, what went wrong."""
    if job is None:
        return ""
    head = "Stopping, saving first" if job.open and job.stopping else _HEADS[job.status]
    if job.status == "queued":
        before = queue.ahead(job)
        head += f": {before} job{'s' * (before != 1)} before this one" if before else ""
    left = job.seconds_left
    if left is not None:
        head += f" · {duration(left)} left"
    elif job.ended and job.started:
        head += f" in {duration(job.ended - job.started)}"
    if job.status == "running" and job.steps and not job.saves:
        head += f" · step {job.steps}"
    elif job.status == "running" and (job.activity or not job.stages.keys() - {"download"}):
        head += f" · {job.activity or 'reading the libraries'}"
    rows = "".join(
        f'<div class="stage"><span>{VERBS.get(name, name)}</span>'
        f'<progress max="{max(total, 1)}" value="{done}" aria-label="{VERBS.get(name, name)}">'
        f"</progress><span>{done}/{total}{_unit(name)}{_left(job, name)}</span></div>"
        for name, (done, total) in job.stages.items()
        if job.status != "done"
    )
    text = escape(public_text(job.message))
    message = f'<p class="said">{text}</p>' if text else ""
    return (
        f'<div class="job {job.status}"><p class="head" role="status" aria-live="polite">'
        f"<strong>{escape(head)}</strong></p>{rows}{message}</div>"
    )


def _unit(stage: str) -> str:
    return " MiB" if stage == "download" else ""


def _left(job: QueuedJob, stage: str) -> str:
    seconds = job.left(stage) if job.status == "running" and job.pace(stage) else None
    return f" · {duration(seconds)}" if seconds else ""


def caption(record: ManifestRecord) -> str:
    """Return a shot in a line: its name, outcome, and the reason or the scores."""
    text = f"{record.id} · {record.status}"
    why = record.reason or record.error
    if why:
        return f"{text}: {public_text(why.message)}"
    scores = ", ".join(f"{found.label} {found.score:.2f}" for found in record.detections[:3])
    return f"{text} · {scores}" if scores else text


def facts(records: Sequence[ManifestRecord]) -> str:
    """Return the number of shots by outcome, and why shots were left out, as HTML."""
    rows = "".join(
        f"<li><b>{escape(record.id)}</b> {record.status}: {escape(public_text(why.message))}</li>"
        for record in records
        if (why := record.reason or record.error)
    )
    return chips(records) + (f'<ul class="reasons">{rows}</ul>' if rows else "")


def chips(records: Sequence[ManifestRecord]) -> str:
    """Return the number of shots by outcome, and of pixels outside the masks, as HTML."""
    counts = Counter(record.status for record in records)
    shown = "".join(
        f'<span class="chip {status}">{status} <b>{number}</b></span>'
        for status, number in counts.items()
    )
    changed = [record.metrics.get("changed_outside") for record in records]
    known = [c for c in changed if c is not None]
    if known:
        shown += (
            f'<span class="chip">pixels changed outside the masks <b>{sum(known):.0f}</b></span>'
        )
    return f'<div class="chips">{shown}</div>'


def status_message(text: str, notes: Sequence[str] = ()) -> str:
    """Return a sentence, with a list of notes, as HTML."""
    rows = "".join(f"<li>{escape(note)}</li>" for note in notes)
    listed = f'<ul class="reasons">{rows}</ul>' if notes else ""
    return f'<p class="said" role="status">{escape(text)}</p>{listed}'


def refused(lines: Sequence[str]) -> str:
    """Return files that were left out, as HTML."""
    if not lines:
        return ""
    rows = "".join(f"<li>{escape(public_text(line))}</li>" for line in lines[:20])
    more = f"<li>and {len(lines) - 20} more</li>" if len(lines) > 20 else ""
    return f'<ul class="reasons refused" role="alert">{rows}{more}</ul>'


def error_message(error: Exception) -> str:
    """Return an error in one line, as HTML."""
    return f'<p class="preview bad" role="alert">{escape(public_text(one_line(error)))}</p>'


def show_errors(handler: Callable[..., Any], message: gr.HTML) -> Callable[..., Any]:
    """Wrap a handler: an error of ours is shown in `message`, and all else stays as it is.

    Gradio's own pop-ups need its queue, which the studio does not use.
    """

    def handle(*values: Any) -> Any:
        try:
            return handler(*values)
        except (VisualsError, ValueError, OSError) as error:
            return {message: error_message(error)}

    return handle


def show_latest(
    triggers: Sequence[Any], show: Callable[..., Any], inputs: Any, outputs: Any
) -> None:
    """Let `show` update the outputs after each of the triggers, and in the end by the last inputs.

    Answers of several events come in any order, so that no other event may update the outputs.
    Gradio repeats what was triggered while `show` was at work, but with everything else that the
    trigger does: two such would trigger each other for ever, but for the event between. `change`
    of a `gr.State` does not trigger: without its queue, Gradio does not tell the page of it.
    """
    gr.on(triggers, None, None, None, **QUICK).then(show, inputs, outputs, **LATEST)


def shown(run: RunSummary, records: Sequence[ManifestRecord] | None = None) -> list[ManifestRecord]:
    """Return the records of the shots whose picture lies below the studio's folder."""
    return [
        record
        for record in (run.records if records is None else records)
        if run.shown_picture(record) is not None
    ]


def pictures_of(job: QueuedJob, records: Sequence[ManifestRecord]) -> list[tuple[str, str]]:
    """Return (picture, caption) of a job's shots: the finished `records`, then those at work."""
    run = RunSummary(job.folder, records)
    done = [(str(run.picture(record)), caption(record)) for record in shown(run)]
    ids = {record.id for record in records}
    previews = [
        (str(file), text) for id_, (file, text) in list(job.previews.items()) if id_ not in ids
    ]
    return done + previews


def gallery_of(
    run: RunSummary, records: Sequence[ManifestRecord] | None = None, least: int = 1
) -> Any:
    """Return a gallery of a run's pictures, visible where there are at least `least`."""
    return gallery(
        [(str(run.picture(record)), caption(record)) for record in shown(run, records)], least
    )


def gallery(pictures: Sequence[tuple[str, str]], least: int = 1) -> Any:
    """Return a gallery of (picture, caption), visible where there are at least `least`."""
    return gr.Gallery(value=list(pictures), visible=len(pictures) >= least)


def read(path: Path | None) -> np.ndarray | None:
    """Return a picture, uint8 (H, W, 3); None where it cannot be read."""
    try:
        return read_image(path).on_white if path else None
    except PictureError:
        return None


def jpeg(image: Any, quality: int = 88) -> bytes:
    """Encode a picture, an array or Pillow's."""
    data = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(
        data, "JPEG", quality=quality
    )
    return data.getvalue()


def data_url(image: Any, quality: int) -> str:
    """Return a picture as the URL of a JPEG."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(image, quality)).decode()}"


def marked(
    image: np.ndarray, found: Sequence[Detection], *, longest: int, numbers: Sequence[int] = ()
) -> np.ndarray:
    """Return the picture with each instance's mask, box, number and score; see `overlay`."""
    labels = [
        f"{numbers[k] if k < len(numbers) else k + 1} {one.label} {one.score:.2f}"
        for k, one in enumerate(found)
    ]
    return overlay(image, found, longest=longest, labels=labels)
