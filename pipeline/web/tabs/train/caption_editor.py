"""Data set of the tab Train: chosen or made from a run, its captions edited in place."""

from __future__ import annotations

import functools
import shlex
from html import escape
from typing import Any

import gradio as gr

from .....configs.errors import UsageError
from .....training.datasets.dataset_folder import Dataset, Item
from ...error_text import public_text
from ...files import run_folders
from ...queue.job_queue import JobQueue
from ...widgets import components
from ...widgets.components import LATEST, QUICK, SLOW, Update, show_errors
from . import auto_caption, datasets

ROWS = 6
"""Pictures shown at a time."""


def section(shown: gr.Tab, queue: JobQueue) -> tuple[gr.Dropdown, gr.Textbox, gr.State]:
    """Lay the data set out and wire it.

    Returns:
        The data set, its activation tag, and how many pictures an epoch shows.
    """
    root = queue.root
    pictures, page = gr.State(0), gr.State(0)
    # Kept in the browser: a caption belongs to the picture beside it there, also where the server
    # has begun to show others.
    listed = gr.JSON(visible=False)
    data = gr.Dropdown(
        [], label="Data set", allow_custom_value=True, elem_id="train-data",
        info="A folder of pictures with captions, in the folder that the studio was started in",
    )  # fmt: skip
    with gr.Accordion("Make a data set of a run", open=False), gr.Row():
        run = gr.Dropdown([], label="Run, newest first", min_width=180, elem_id="train-run")
        make = gr.Button("Take its kept pictures", min_width=150, elem_id="train-export")
    tag = gr.Textbox(
        label="Activation tag", max_length=64, placeholder="ppzlook", elem_id="train-tag",
        info="A word of no meaning yet, that will call the LoRA",
    )  # fmt: skip
    put = gr.Button("Put it before every caption", size="sm", elem_id="train-put")
    message = components.html("train-said")
    command = components.command_box("train-data-command", render=False)
    when_captioned = auto_caption.section(queue, data, tag, message, command)
    find = gr.Textbox(
        label="Captions", placeholder="only those with these words", max_length=200,
        elem_id="train-find",
    )  # fmt: skip
    rows, photos, boxes = [], [], []
    for k in range(ROWS):
        with gr.Row(visible=False, equal_height=False, elem_classes="caption-row") as row:
            photos.append(gr.HTML(padding=False, min_width=90))
            boxes.append(
                gr.Textbox(
                    label="Caption", lines=3, max_lines=5, scale=4, min_width=180, max_length=2000,
                    elem_id=f"train-caption-{k}",
                )
            )  # fmt: skip
        rows.append(row)
    with gr.Row():
        back = gr.Button("Previous", min_width=90, interactive=False)
        where = gr.HTML(padding=False, min_width=110, elem_id="train-where")
        on = gr.Button("Next", min_width=90, interactive=False, elem_id="train-next")
    with components.command_fold("train-data-command"):
        command.render()
    table = [*rows, *photos, *boxes, where, back, on, page, listed, pictures]

    def list_(text: str | None, words: str, wanted: int = 0) -> Update:
        """Show a page of the captions that have the words."""
        items: list[Item] = []
        number, total = 0, 0
        try:
            dataset = datasets.read(root, text or "")
            items = [i for i in dataset.items if words.strip().lower() in i.text.lower()]
            number = max(0, min(wanted, (len(items) - 1) // ROWS))
            position, total = _position(number, items, dataset), dataset.pictures
        except (ValueError, OSError) as error:
            said = escape(public_text(str(error)))
            position = f'<p class="preview{" bad" if text else ""}">{said}</p>'
        here = items[number * ROWS : (number + 1) * ROWS]
        update: Update = {
            where: position,
            back: gr.Button(interactive=number > 0),
            on: gr.Button(interactive=(number + 1) * ROWS < len(items)),
            page: number,
            listed: {"data": text, "names": [item.name for item in here]},
            pictures: total,
        }
        for k, (row, photo, box) in enumerate(zip(rows, photos, boxes, strict=True)):
            item = here[k] if k < len(here) else None
            update[row] = gr.Row(visible=item is not None)
            update[photo] = _photo(item) if item else ""
            update[box] = gr.update(value=(item and item.caption) or "")
            if item:
                update[box]["label"] = f"Caption of {item.path.name}"
        return update

    def open_(text: str | None, words: str) -> Update:
        update = list_(text, words)
        try:
            current = datasets.read(root, text or "").tag
        except (ValueError, OSError):
            current = ""
        # A tag is one word that is no word of the language: a caption's first part may be any.
        return {**update, tag: current} if current and " " not in current else update

    def keep(number: int, listing: dict[str, Any] | None, caption: str) -> Any:
        """Save the caption of a row, where it was changed."""
        if listing is None or number >= len(listing["names"]):
            return gr.skip()
        text, name = listing["data"], listing["names"][number]
        caption = " ".join(caption.split())
        item = next((i for i in datasets.read(root, text).items if i.name == name), None)
        if item is None:
            raise UsageError(f"{name} is not there any more: open the data set again")
        if caption == " ".join((item.caption or "").split()):
            return gr.skip()
        datasets.write(root, text, {name: caption})
        return _note(f"Saved the caption of {name}")

    def put_tag(text: str, word: str) -> Update:
        count, problems = datasets.put_tag(root, text, word)
        folder = str(datasets.place(root, text))
        words = ["visuals", "dataset", "caption", folder, "--no-model", "--tag", word]
        note = _note(f"{count} caption{'s' * (count != 1)} changed")
        note += components.refused(problems)
        return {message: note, command: shlex.join(words)}

    def export(id_: str | None, word: str) -> Update:
        if not id_:
            raise UsageError("no run is chosen: choose one")
        name, left_out = datasets.export(root, id_, word)
        words = ["visuals", "export", str(root / id_), "--out", str(root.parent / name)]
        words += ["--tag", word] if word else []
        return {
            data: gr.Dropdown(choices=datasets.found(root), value=name),
            message: _note(f"Made {name}") + components.refused(left_out),
            command: shlex.join(words),
        }

    def choices(now: str | None) -> Update:
        found = datasets.found(root)
        return {
            data: gr.Dropdown(choices=found, value=now or next(iter(found), None)),
            run: gr.Dropdown(choices=run_folders.ids(root)),
        }

    seen = [data, find]
    shown.select(choices, data, [data, run], **QUICK)
    data.change(open_, seen, [*table, tag], **QUICK)
    find.change(list_, seen, table, **LATEST)
    back.click(lambda t, w, n: list_(t, w, n - 1), [*seen, page], table, **QUICK)
    on.click(lambda t, w, n: list_(t, w, n + 1), [*seen, page], table, **QUICK)
    put.click(show_errors(put_tag, message), [data, tag], [message, command], **QUICK).then(
        list_, [*seen, page], table, **QUICK
    )
    when_captioned(list_, [*seen, page], table)
    make.click(show_errors(export, message), [run, tag], [data, message, command], **SLOW)
    for k, box in enumerate(boxes):
        for event in (box.blur, box.submit):
            save = show_errors(functools.partial(keep, k), message)
            event(save, [listed, box], message, **QUICK)
    return data, tag, pictures


def _photo(item: Item) -> str:
    address = datasets.thumbnail(item.path)
    if address is None:
        return f'<p class="preview bad">{escape(item.path.name)} cannot be read</p>'
    often = f"<figcaption>{item.repeats} times</figcaption>" if item.repeats > 1 else ""
    name = escape(item.path.name)
    return f'<figure class="photo"><img src="{address}" alt="{name}">{often}</figure>'


def _position(number: int, items: list[Item], dataset: Dataset) -> str:
    if not items:
        return '<p class="preview">no caption has these words</p>'
    first = number * ROWS + 1
    last = min(len(items), first + ROWS - 1)
    return f'<p class="preview">{first}–{last} of {len(items)} · {dataset.layout}</p>'


def _note(text: str) -> str:
    return f'<p class="preview" role="status">{escape(text)}</p>'
