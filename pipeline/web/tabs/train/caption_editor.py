"""The data set of the tab Train: chosen or made of a run, its captions edited in place."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from .....training.datasets.folder import Dataset, Item
from ...files import run_folders
from ...queue.job_queue import JobQueue
from ...widgets import components
from ..create import QUICK
from . import auto_caption, datasets, messages

ROWS = 6
"""Pictures shown at a time."""


@dataclass(frozen=True)
class Parts:
    """What the settings beside it need. `pictures`: how many an epoch shows, a number."""

    data: gr.Dropdown
    tag: gr.Textbox
    pictures: gr.State


def section(blocks: gr.Blocks, shown: gr.Tab, desk: JobQueue) -> Parts:
    """Lay the data set out and wire it."""
    root = desk.root
    pictures, page, names = gr.State(0), gr.State(0), gr.State([])
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
    said = gr.HTML(padding=False, elem_id="train-said")
    command = gr.Textbox(
        label="The same on the command line", interactive=False, lines=1, max_lines=4,
        buttons=["copy"], elem_classes="command", visible=False, elem_id="train-data-command",
        render=False,
    )  # fmt: skip
    described = auto_caption.section(desk, data, tag, said, command)
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
                    label="Caption",
                    lines=3,
                    max_lines=5,
                    scale=4,
                    min_width=180,
                    max_length=2000,
                    elem_id=f"train-caption-{k}",
                )
            )
        rows.append(row)
    with gr.Row():
        back = gr.Button("Previous", min_width=90, interactive=False)
        where = gr.HTML(padding=False, min_width=110, elem_id="train-where")
        on = gr.Button("Next", min_width=90, interactive=False, elem_id="train-next")
    command.render()
    table = [*rows, *photos, *boxes, where, back, on, page, names, pictures]

    def listed(text: str | None, words: str, wanted: int) -> list[Any]:
        """The rows of a page of the captions that have the words."""
        try:
            dataset = datasets.read(root, text or "")
        except (ValueError, OSError) as error:
            why = f'<p class="preview{" bad" if text else ""}">{escape(str(error))}</p>'
            return [*_rows([]), why, *_paging(0, 0), 0, [], 0]
        items = [i for i in dataset.items if words.strip().lower() in i.text.lower()]
        number = max(0, min(wanted, (len(items) - 1) // ROWS))
        here = items[number * ROWS : (number + 1) * ROWS]
        return [
            *_rows(here),
            _where(number, items, dataset),
            *_paging(number, len(items)),
            number,
            [item.name for item in here],
            dataset.pictures,
        ]

    def opened(text: str | None, words: str) -> list[Any]:
        out = listed(text, words, 0)
        try:
            mine = datasets.read(root, text or "").tag
        except (ValueError, OSError):
            mine = ""
        # A tag is one word that is no word of the language: a caption's first part may be any.
        return [*out, mine if mine and " " not in mine else gr.skip()]

    def keep(number: int, text: str, here: list[str], caption: str) -> Any:
        """Save one caption, where it was changed."""
        if number >= len(here):
            return gr.skip()
        name, caption = here[number], " ".join(caption.split())
        try:
            item = next((i for i in datasets.read(root, text).items if i.name == name), None)
            if item is None:
                raise ValueError(f"{name} is not there any more: open the data set again")
            if caption == (item.caption or ""):
                return gr.skip()
            datasets.write(root, text, {name: caption})
        except (ValueError, OSError) as error:
            return messages.wrong(error)
        return _note(f"Saved the caption of {name}")

    def tagged(text: str, word: str) -> list[Any]:
        try:
            count = datasets.put_tag(root, text, word)
        except (ValueError, OSError) as error:
            return [messages.wrong(error), gr.skip()]
        line = datasets.line("caption", root, text, "--no-model", "--tag", word)
        many = f"{count} caption{'s' * (count != 1)}"
        return [_note(f"{many} changed"), gr.Textbox(line, visible=True)]

    def exported(id_: str | None, word: str) -> list[Any]:
        try:
            if not id_:
                raise ValueError("no run is chosen: choose one")
            name, left_out = datasets.export(root, id_, word)
        except (ValueError, OSError) as error:
            return [gr.skip(), messages.wrong(error), gr.skip()]
        line = datasets.export_line(root, id_, name, word)
        return [
            gr.Dropdown(choices=datasets.found(root), value=name),
            _note(f"Made {name}") + components.refused(left_out),
            gr.Textbox(line, visible=True),
        ]

    def choices(now: str | None) -> list[Any]:
        found = datasets.found(root)
        value = now or (found[0] if found else None)
        return [gr.Dropdown(choices=found, value=value), gr.Dropdown(choices=run_folders.ids(root))]

    seen = [data, find]
    shown.select(choices, data, [data, run], **QUICK)
    data.change(opened, seen, [*table, tag], **QUICK)
    find.change(lambda t, w: listed(t, w, 0), seen, table, trigger_mode="always_last", **QUICK)
    back.click(lambda t, w, n: listed(t, w, n - 1), [*seen, page], table, **QUICK)
    on.click(lambda t, w, n: listed(t, w, n + 1), [*seen, page], table, **QUICK)
    put.click(tagged, [data, tag], [said, command], **QUICK).then(
        listed, [*seen, page], table, **QUICK
    )
    described(listed, [*seen, page], table)
    make.click(exported, [run, tag], [data, said, command], queue=False, api_visibility="private")
    for k, box in enumerate(boxes):
        for event in (box.blur, box.submit):
            event(
                lambda t, here, caption, k=k: keep(k, t, here, caption), [data, names, box], said,
                **QUICK,
            )  # fmt: skip
    return Parts(data, tag, pictures)


def _rows(items: list[Item]) -> list[Any]:
    """Updates of the rows, their pictures and their captions."""
    there = [items[k] if k < len(items) else None for k in range(ROWS)]
    return [
        *[gr.Row(visible=item is not None) for item in there],
        *[_photo(item) if item else "" for item in there],
        *[
            gr.Textbox(item.caption or "", label=f"Caption of {item.path.name}")
            if item
            else gr.Textbox("")
            for item in there
        ],
    ]


def _photo(item: Item) -> str:
    address = datasets.thumbnail(item.path)
    if address is None:
        return f'<p class="preview bad">{escape(item.path.name)} cannot be read</p>'
    often = f"<figcaption>{item.repeats} times</figcaption>" if item.repeats > 1 else ""
    name = escape(item.path.name)
    return f'<figure class="photo"><img src="{address}" alt="{name}">{often}</figure>'


def _where(number: int, items: list[Item], dataset: Dataset) -> str:
    if not items:
        return '<p class="preview">no caption has these words</p>'
    first = number * ROWS + 1
    last = min(len(items), first + ROWS - 1)
    return f'<p class="preview">{first}–{last} of {len(items)} · {dataset.layout}</p>'


def _paging(number: int, count: int) -> list[Any]:
    return [
        gr.Button(interactive=number > 0),
        gr.Button(interactive=(number + 1) * ROWS < count),
    ]


def _note(text: str) -> str:
    return f'<p class="preview" role="status">{escape(text)}</p>'
