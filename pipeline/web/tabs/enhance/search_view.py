"""What the tab Enhance shows of a search: photos, boxes, masks, thresholds, ticks, painting.

Each method takes the session (see search.py) and returns what its components show. Knows the
desk and files; no models.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from .....configs.errors import UsageError
from ...files import run_folders, uploads
from ...queue import commands
from ...queue.commands import Command
from ...queue.job_queue import JobQueue
from ...widgets import components, gallery
from . import mask_canvas, mask_strokes, selection
from . import session as search

MOST = 200
"""Photos shown small; a re-render takes all."""
ALL = "all instances"


class NothingSelectedError(UsageError):
    """Nothing to do; the message says what to do first."""


class SearchView:
    """The search side of the tab over one desk."""

    def __init__(self, desk: JobQueue) -> None:
        self.desk, self.root = desk, desk.root

    def order(
        self, paths: list[str], names: list[str], preset: str, run: str
    ) -> tuple[Command | None, str, list[str]]:
        """(the search, its name, refused files) in photos or in a run that was sent here; no
        order where every file was refused. Raises ValueError."""
        if not names:
            raise NothingSelectedError("nothing to look for: choose or type a class")
        refused: list[str] = []
        if paths:
            upload = uploads.receive(self.root, [(Path(p).name, Path(p)) for p in paths])
            refused = upload.refused
            if not upload.pictures:
                return None, "", refused
            inputs, name = str(upload.folder), upload.folder.name
        elif run:
            inputs, name = str(run_folders.folder(self.root, run)), f"{run}-{uuid.uuid4().hex[:6]}"
        else:
            raise NothingSelectedError("no photos: drop some first")
        order = Command("filter", (inputs,), tuple(names), preset=preset)
        order = replace(order, changes=selection.search_settings())
        commands.check(order)
        return order, name, refused

    def photos(self, session: dict[str, Any]) -> list[Any]:
        """Facts, thumbnails, the current photo, its ticks."""
        folder = search.place(self.root, session)
        if folder is None:
            return ["", gallery.holding([]), mask_canvas.EMPTY, _ticks([], [])]
        lines, made = search.lines(folder), search.choice(folder, session)
        thumbs = [
            (str(file), search.told(line, made))
            for line in list(lines.values())[:MOST]
            if (file := search.thumbnail(folder, line, made)) is not None
        ]
        return [
            self._facts(lines, made),
            gallery.holding(thumbs),
            *self._current(session, folder, lines, made),
        ]

    def current(self, session: dict[str, Any], *, facts: bool = False) -> list[Any]:
        """The photo looked at: marked, to paint on, with its instances to tick."""
        folder = search.place(self.root, session)
        if folder is None:
            return [*[gr.skip()] * facts, mask_canvas.EMPTY, _ticks([], [])]
        lines, made = search.lines(folder), search.choice(folder, session)
        first = [self._facts(lines, made)] if facts else []
        return [*first, *self._current(session, folder, lines, made)]

    @staticmethod
    def _facts(lines: dict[str, dict[str, Any]], made: selection.Choice) -> str:
        return components.facts([search.as_chosen(line, made) for line in lines.values()])

    @staticmethod
    def _current(
        session: dict[str, Any], folder: Path, lines: dict[str, Any], made: selection.Choice
    ) -> list[Any]:
        line = lines.get(session["current"])
        image = None if line is None else search.view(folder, line, made, 768)
        if line is None or image is None:
            return [mask_canvas.EMPTY, _ticks([], [])]
        drawn = search.painted(folder, line["id"])
        named = f"{folder.name}/{line['id']}"
        shown = mask_canvas.value(image, search.told(line, made), named, drawn)
        options = [(_instance(line, k), k) for k in selection.above(line, made.threshold)]
        return [shown, _ticks(options, selection.chosen(line, made))]

    def words(self, session: dict[str, Any]) -> list[Any]:
        """Whose wording is shown, of the current photo's instances, and that wording."""
        folder = search.place(self.root, session)
        line = search.lines(folder).get(session["current"]) if folder else None
        numbers = range(len(line["detections"])) if line else range(0)
        options = [(ALL, -1), *((_instance(line or {}, k), k) for k in numbers)]
        whose = session["whose"] if session["whose"] in numbers else -1
        said = search.said(session, whose)
        return [gr.Dropdown(choices=options, value=whose), said["edit"], said["strength"],
                said["prompt"]]  # fmt: skip

    def at_threshold(self, session: dict[str, Any]) -> Command | None:
        """The search as a `filter` at the threshold that was chosen."""
        job = self.desk.get(session["found"])
        if job is None:
            return None
        value = float(session["threshold"])
        changes = {"detect.box_threshold": value, "detect.text_threshold": value}
        return replace(job.order, changes={**job.order.changes, **changes}, out=None)

    def slide(self, value: float, session: dict[str, Any]) -> list[Any]:
        """While the threshold is dragged: session, facts, photo, ticks, command."""
        session = {**session, "threshold": round(float(value), 2)}
        order = self.at_threshold(session)
        line = order.line() if order else gr.skip()
        return [session, *self.current(session, facts=True), line]

    def tick(self, numbers: list[int], session: dict[str, Any]) -> list[Any]:
        """Instances ticked on or off: session and photos."""
        folder = search.place(self.root, session)
        line = search.lines(folder).get(session["current"]) if folder else None
        if line is None:
            return [session, *[gr.skip()] * 4]
        off = [k for k in selection.above(line, session["threshold"]) if k not in numbers]
        session = {**session, "off": {**session["off"], session["current"]: off}}
        return [session, *self.photos(session)]

    def pick(self, index: int, session: dict[str, Any]) -> list[Any]:
        """A photo chosen by its thumbnail: session, photo, ticks, wording."""
        folder = search.place(self.root, session)
        if folder is None:
            return [session, *[gr.skip()] * 6]
        lines = search.lines(folder)
        made = search.choice(folder, session)
        shown = [
            id_
            for id_, line in list(lines.items())[:MOST]
            if search.thumbnail(folder, line, made) is not None
        ]
        session = {**session, "current": shown[min(index, len(shown) - 1)], "whose": -1}
        return [session, *self.current(session), *self.words(session)]

    def paint(self, value: Any, session: dict[str, Any]) -> bool:
        """Keep the strokes that the page sent; False where they are of no photo of the search."""
        folder = search.place(self.root, session)
        named = str(value.get("id") or "") if isinstance(value, dict) else ""
        if folder is None or not named.startswith(f"{folder.name}/"):
            return False
        id_, seq = named.split("/", 1)[1], value.get("seq")
        if id_ not in search.lines(folder) or not isinstance(seq, int):
            return False
        search.paint(folder, id_, seq, mask_strokes.read(value.get("strokes")))
        return True

    def select(self, session: dict[str, Any]) -> tuple[Path, dict[str, int]]:
        """The choice written as a run folder of its own, and how many stay, by status."""
        folder = search.place(self.root, session)
        if folder is None:
            raise NothingSelectedError("nothing was looked for yet: drop photos and press Find")
        out = self.root / f"{session['found'][:15]}-chosen-{uuid.uuid4().hex[:4]}"
        return out, selection.select(folder, out, search.choice(folder, session))


def _ticks(options: list[tuple[str, int]], value: list[int]) -> Any:
    return gr.CheckboxGroup(choices=options, value=value)  # type: ignore[arg-type]


def _instance(line: dict[str, Any], number: int) -> str:
    found = line["detections"][number]
    return f"{number + 1} {found['label']} {found['score']:.2f}"
