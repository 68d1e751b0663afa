"""What the tab Enhance shows of a session, as updates of its components."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import chain
from typing import Any
from urllib.parse import quote

import gradio as gr

from .....configs.schema import Settings
from ....jobs.request import RunRequest
from ....runs.manifest import ManifestRecord
from ...queue.job_queue import JobQueue
from ...widgets import before_after, components
from ...widgets.components import Update
from ...widgets.text_lines import lines
from . import photo_strip, photo_view, results
from .layout import ALL, EDIT, EDIT_OF_ONE, Layout
from .search_session import Search, Session, complete, with_wording, wording

MOST = 200
"""Photos in the strip; a re-render takes all."""


class PageUpdates:
    """The updates. They read the session and what lies on disk, and change neither."""

    def __init__(self, queue: JobQueue, layout: Layout, usual: Settings) -> None:
        self.queue, self.root, self.layout, self.usual = queue, queue.root, layout, usual

    def page(self, session: Any, id_: str, kept: Any) -> Update:
        """Update the line of photos, facts, command, and the current photo with its instances.

        Args:
            session: as the browser holds it.
            id_: the job whose progress is shown.
            kept: session, job and command of what was kept as a run.
        """
        line = kept[2] if kept and kept[:2] == [session, id_] else None
        session, layout = complete(session, self.usual), self.layout
        search = Search.open(self.root, session)
        return {
            layout.photos_box: gr.Accordion(label=self._title(search, session)),
            layout.work: gr.Row(visible=self.has_photos(session)),
            layout.facts: components.chips(search.outcomes()) if search else "",
            layout.command: self._command(session, id_) if line is None else line,
            **self._current(search),
        }

    def has_photos(self, session: Session) -> bool:
        """Return whether there is anything to show: a search, or one that will be there soon."""
        return Search.open(self.root, session) is not None or self._searching(session) is not None

    def _searching(self, session: Session) -> RunRequest | None:
        """Return the search that is waiting or at work."""
        job = self.queue.get(session["found"])
        return self.at_threshold(session) if job is not None and job.open else None

    def at_threshold(self, session: Session) -> RunRequest | None:
        """Return the search as a `filter` at the threshold that was chosen."""
        job = self.queue.get(session["found"])
        if job is None or not isinstance(job.request, RunRequest):
            return None
        value = float(session["threshold"])
        changes = {"detect.box_threshold": value, "detect.text_threshold": value}
        overrides = {**job.request.overrides, **changes}
        return job.request.model_copy(update={"overrides": overrides, "out": None})

    def _title(self, search: Search | None, session: Session) -> str:
        if search is not None:
            return search.title()
        request = self._searching(session)
        return f"Looking for {', '.join(request.classes)}" if request else "Photos"

    def _command(self, session: Session, id_: str) -> str:
        job = self.queue.get(id_)
        if job is None or id_ == session["found"]:
            return str(self.at_threshold(session) or "")
        return str(job.request)

    def strip(self, session: Any) -> dict[str, Any]:
        """Return the strip; until a photo is chosen, it marks the first that is kept."""
        session = complete(session, self.usual)
        search = Search.open(self.root, session)
        if search is None:
            return photo_strip.value("Photos", [])
        photos = [_small(search, record) for record in list(search.records.values())[:MOST]]
        current = search.current.id if search.current else self._first(search, session)
        return photo_strip.value("Photos", photos, current, session["found"])

    def _first(self, search: Search, session: Session) -> str:
        """Return the first photo that is kept, of an ended search else the first of all, or ""."""
        kept = (id_ for id_, one in search.records.items() if search.selection.reason(one) is None)
        rest = () if self._searching(session) else search.records
        return next(chain(kept, rest), "")

    def _current(self, search: Search | None) -> Update:
        """Update the photo that is shown: its views, its instances to choose, its control map."""
        layout, photo, value, control = self.layout, photo_view.EMPTY, [], ""
        options: list[tuple[str, int]] = []
        record = search.current if search else None
        image = search.view(record) if search and record else None
        if search and record:
            photo = {**photo, "alt": search.describe(record)}
        if search and record and image is not None:
            named, alt = f"{search.folder.name}/{record.id}", search.describe(record)
            made, control = self._results(search, record)
            drawn, numbers = search.painted(record.id), search.selection.above(record)
            photo = photo_view.value(image, alt, named, numbers, drawn, made)
            options, value = _options(record, numbers), search.selection.chosen(record)
        return {
            layout.photo: photo,
            layout.ticks: gr.CheckboxGroup(choices=options, value=value, visible=bool(options)),
            layout.whose: gr.Dropdown(choices=_whose(record)),
            layout.control: control,
        }

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
        options = _whose(record)
        whose = session["whose"] if session["whose"] in [k for _, k in options] else -1
        words, layout = wording(session, whose), self.layout
        return {
            layout.whose: gr.Dropdown(choices=options, value=whose),
            layout.edit: gr.Textbox(words["edit"], label=EDIT if whose < 0 else EDIT_OF_ONE),
            layout.strength: words["strength"],
            layout.prompt: words["prompt"],
        }

    def buttons(self, session: Any, *words: Any) -> list[Any]:
        """Update the buttons: how many edits; the one for all photos counts them, too, and is
        hidden for none but the photo that is shown."""
        session = with_wording(complete(session, self.usual), *words)
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


def _whose(record: ManifestRecord | None) -> list[tuple[str, int]]:
    """Return whose the wording can be, as options: of all photos, or of an instance."""
    return [(ALL, -1), *(_options(record, range(len(record.detections))) if record else ())]


def _options(record: ManifestRecord, numbers: Iterable[int]) -> list[tuple[str, int]]:
    """Return instances as options: number, class and score."""
    found = record.detections
    return [(f"{k + 1} {found[k].label} {found[k].score:.2f}", k) for k in numbers]
