"""What the tab Enhance shows of a session, as updates of its components."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

import gradio as gr

from ....runs.manifest import ManifestRecord
from ...queue.job_queue import JobQueue
from ...widgets import before_after, components
from ...widgets.components import Update
from ...widgets.text_lines import lines
from . import photo_strip, photo_view, results
from .layout import ALL, EDIT, EDIT_OF_ONE, Layout
from .search_session import Search, Session, with_wording, wording

MOST = 200
"""Photos in the strip; a re-render takes all."""


class PageUpdates:
    """The updates. They read the session and what lies on disk, and change neither."""

    def __init__(self, queue: JobQueue, layout: Layout) -> None:
        self.queue, self.root, self.layout = queue, queue.root, layout

    def photos(self, session: Session) -> Update:
        """Update the line of photos, facts, strip, the current photo and its ticks."""
        search, layout = Search.open(self.root, session), self.layout
        job = self.queue.get(session["found"])
        there = search is not None or (job is not None and job.open)
        return {
            layout.photos_box: gr.Accordion(label=search.title() if search else "Photos"),
            layout.work: gr.Row(visible=there),
            layout.facts: components.chips(search.outcomes()) if search else "",
            layout.strip: self._strip(search),
            **self.current(search),
        }

    def _strip(self, search: Search | None) -> dict[str, Any]:
        if search is None:
            return photo_strip.value("Photos", [])
        photos = [_small(search, record) for record in list(search.records.values())[:MOST]]
        current = search.current.id if search.current else ""
        return photo_strip.value("Photos", photos, current)

    def current(self, search: Search | None) -> Update:
        """Update the photo that is shown: its views, its instances to tick, its control map."""
        photo, options, value, control = photo_view.EMPTY, [], [], ""
        record = search.current if search else None
        image = search.view(record) if search and record else None
        if search and record:
            photo = {**photo, "alt": search.describe(record)}
        if search and record and image is not None:
            named = f"{search.folder.name}/{record.id}"
            made, control = self._results(search, record)
            drawn = search.painted(record.id)
            photo = photo_view.value(image, search.describe(record), named, drawn, made)
            numbers = search.selection.above(record)
            options, value = _options(record, numbers), search.selection.chosen(record)
        ticks: Any = gr.CheckboxGroup(choices=options, value=value, visible=bool(options))
        return {self.layout.photo: photo, self.layout.ticks: ticks, self.layout.control: control}

    def _results(self, search: Search, shot: ManifestRecord) -> tuple[list[dict[str, str]], str]:
        """Return the latest results of a shot for its view, and their control map."""
        made, control = [], ""
        for run, record in search.results.get(shot.id, ()):
            words = record.edit or "; ".join(record.prompts or ())
            text = f"{shot.id} · re-rendered: {words} · seed {results.seed(run)}"
            made.append({**before_after.addresses(run, record), "name": words, "made": text})
            if record.files.control:
                address = escape(before_after.address(run, record.files.control))
                control = f'<img src="{address}" alt="The control map that led the re-render">'
        return made, control

    def words(self, session: Session) -> Update:
        """Update whose wording is shown, of the current photo's instances, and that wording."""
        search = Search.open(self.root, session)
        record = search.current if search else None
        numbers = range(len(record.detections)) if record else range(0)
        options = [(ALL, -1), *(_options(record, numbers) if record else ())]
        whose = session["whose"] if session["whose"] in numbers else -1
        words, layout = wording(session, whose), self.layout
        return {
            layout.whose: gr.Dropdown(choices=options, value=whose),
            layout.edit: gr.Textbox(words["edit"], label=EDIT if whose < 0 else EDIT_OF_ONE),
            layout.strength: words["strength"],
            layout.prompt: words["prompt"],
        }

    def buttons(self, session: Session, *words: Any) -> list[Any]:
        """Update the buttons: how many edits; the one for all photos counts them, too, and is
        hidden for none but the photo that is shown."""
        session = with_wording(session, *words)
        search, edits = Search.open(self.root, session), len(lines(wording(session)["edit"]))
        times = f" × {edits}" if edits > 1 else ""
        this = gr.Button(f"Re-render this photo{times}")
        if search is None:
            return [this, gr.Button(visible=False)]
        chosen = search.to_rerender()
        ids = [id_ for id_, record in search.records.items() if chosen.reason(record) is None]
        what = "edited photo" if chosen.edited_only else "photo"
        text = f"Re-render {len(ids)} {what}{'s' * (len(ids) != 1)}{times}"
        return [this, gr.Button(text, visible=bool(ids) and ids != [session["current"]])]


def _small(search: Search, record: ManifestRecord) -> dict[str, Any]:
    """Return a photo of the strip."""
    file = search.thumbnail(record)
    return {
        "id": record.id,
        "alt": search.describe(record),
        "src": f"gradio_api/file={quote(str(file.resolve()))}" if file else "",
        "done": record.id in search.results,
        "out": search.selection.reason(record) is not None,
    }


def _options(record: ManifestRecord, numbers: Any) -> list[tuple[str, int]]:
    """Return instances as options: number, class and score."""
    found = record.detections
    return [(f"{k + 1} {found[k].label} {found[k].score:.2f}", k) for k in numbers]
