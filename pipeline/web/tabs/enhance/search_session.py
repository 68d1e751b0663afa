"""A visitor's search in the tab Enhance, and what was selected from it.

The browser keeps the session as plain values: `found` (folder name of the search), `threshold`,
`off` (shot id → instances), `all` (edit, prompt and strength of all products), `own` (shot id →
instance → the same for it alone), `whose` of these is on the page (-1: all), `current` (the shot
that is shown). Strokes on masks are files beside the search.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .....checkpoints import atomic_files
from .....configs.schema import Settings
from ....runs.manifest import NAME, ManifestRecord, last_records
from ...error_text import public_text
from ...files.run_folders import RunSummary
from ...widgets import components
from ...widgets.text_lines import lines
from . import mask_strokes, results, selection
from .selection import Selection

Session = dict[str, Any]
EMPTY: Session = {
    "found": "", "threshold": None, "off": {}, "own": {}, "all": {}, "whose": -1, "current": "",
}  # fmt: skip
THUMBNAIL = 320
VIEWS = (768, 1280)
"""Least and most pixels of the longer side of a photo that is shown."""


def complete(session: Any, usual: Settings) -> Session:
    """Return a session as a browser kept it, with what is missing."""
    session = {**EMPTY, **(session if isinstance(session, dict) else {})}
    if session["threshold"] is None:
        session["threshold"] = max(selection.FLOOR, usual.detect.box_threshold)
    if "strength" not in session["all"]:
        session["all"] = {"edit": "", "prompt": "", "strength": usual.rerender.strength}
    return session


def wording(session: Session, whose: int = -1) -> dict[str, Any]:
    """Return edit, prompt and strength of an instance of the current shot, or (-1) of all."""
    for_all = {"edit": "", "prompt": "", "strength": 0.75, **session["all"]}
    if whose < 0:
        return for_all
    own = session["own"].get(session["current"], {}).get(str(whose), {})
    strength = own.get("strength") or for_all["strength"]
    return {"edit": "", "prompt": "", **own, "strength": strength}


def with_wording(session: Session, edit: str, strength: float, prompt: str) -> Session:
    """Return the session with the wording on its page: of all, or of one instance."""
    words = {"edit": edit or "", "prompt": prompt or "", "strength": float(strength)}
    if session["whose"] < 0:
        return {**session, "all": words}
    if words["strength"] == wording(session)["strength"]:
        words["strength"] = None
    shot = session["current"]
    own = {**session["own"].get(shot, {}), str(session["whose"]): words}
    return {**session, "own": {**session["own"], shot: own}}


class Search:
    """The run folder of a search, with what the session selects from it."""

    def __init__(self, root: Path, folder: Path, session: Session) -> None:
        self._root, self.folder = root, folder
        self.records = {record.id: record for record in last_records(folder)}
        self.current = self.records.get(session["current"])
        self._session = session

    @functools.cached_property
    def selection(self) -> Selection:
        """The instances that are kept, with the masks as they were painted."""
        session = self._session
        out = Selection(session["threshold"], session["off"], session["own"])
        for id_, record in self.records.items():
            strokes = mask_strokes.read(self.painted(id_)["strokes"])
            mask = self._union(record, out) if strokes else None
            if mask is not None:
                out.painted[id_] = mask_strokes.draw(mask, strokes)
        return out

    @functools.cached_property
    def results(self) -> dict[str, list[results.Result]]:
        """The latest re-renders, one an edit, of each shot that has some."""
        return results.latest(self.folder, self._root, self.records)

    def title(self) -> str:
        """Return what was looked for where, in a line."""
        count = len(self.records)
        names = {name: None for record in self.records.values() for name in record.classes}
        return f"{count} photo{'s' * (count != 1)}, {', '.join(names)} · change"

    def to_rerender(self) -> Selection:
        """Return the selection; edits of single instances alone leave all others as they are."""
        for_all = wording(self._session)
        is_edited = lines(for_all["edit"]) or for_all["prompt"]
        edited_only = not is_edited and self.selection.has_edits()
        return replace(self.selection, edited_only=edited_only)

    @classmethod
    def open(cls, root: Path, session: Session) -> Search | None:
        """Return the session's search; None where it is not there."""
        name = str(session.get("found") or "")
        folder = root / ".studio" / "found" / name
        inside = name and "/" not in name and "\\" not in name and not name.startswith(".")
        return cls(root, folder, session) if inside and (folder / NAME).is_file() else None

    def painted(self, id_: str) -> dict[str, Any]:
        """Return the strokes on a shot, plain, and how often it was drawn on."""
        try:
            value = json.loads(self._strokes_file(id_).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"seq": 0, "strokes": []}
        return {"seq": int(value["seq"]), "strokes": list(value["strokes"])}

    def paint(self, id_: str, seq: int, strokes: tuple[mask_strokes.Stroke, ...]) -> None:
        """Keep all strokes on a shot, unless later ones are there."""
        if seq > self.painted(id_)["seq"]:
            kept = {"seq": seq, "strokes": [stroke.plain() for stroke in strokes]}
            atomic_files.write(self._strokes_file(id_), json.dumps(kept).encode())

    def _strokes_file(self, id_: str) -> Path:
        return self.folder / ".painted" / f"{_hash(id_)}.json"

    def view(self, record: ManifestRecord, longest: int = 0) -> np.ndarray | None:
        """Return the photo with the selection marked; None where it cannot be read.

        Its longer side has `longest` pixels, by default as many as the photo, within VIEWS.
        """
        image = self._photo(record)
        if image is None:
            return None
        longest = longest or min(max(*image.shape[:2], VIEWS[0]), VIEWS[1])
        if self.selection.reason(record) is not None:
            return components.marked(image, [], longest=longest)
        numbers = [k + 1 for k in self.selection.chosen(record)]
        parts = self.selection.instances(self.folder, record)
        if record.id in self.selection.painted and len(parts) != len(numbers):
            numbers = []
        return components.marked(image, parts, longest=longest, numbers=numbers)

    def thumbnail(self, record: ManifestRecord) -> Path | None:
        """Return a small `view` as a file, kept for the next time."""
        key = json.dumps([record.id, self.selection.chosen(record), self.painted(record.id)["seq"]])
        out = self.folder / ".thumbs" / f"{_hash(key)}.jpg"
        if not out.is_file():
            image = self.view(record, THUMBNAIL)
            if image is None:
                return None
            atomic_files.write(out, components.jpeg(image))
        return out

    def describe(self, record: ManifestRecord) -> str:
        """Return a shot in a line: how many instances stay, or why none."""
        why = self.selection.reason(record)
        if why is not None:
            outcome = "failed" if record.error else "skipped"
            return f"{record.id} · {outcome}: {public_text(why.message)}"
        hand = ", painted by hand" if record.id in self.selection.painted else ""
        return f"{record.id} · {len(self.selection.chosen(record))} found{hand}"

    def outcomes(self) -> list[ManifestRecord]:
        """Return the records with the outcomes that the selection gives them."""
        out = []
        for record in self.records.values():
            if not record.error:
                why = self.selection.reason(record)
                status = "skipped" if why else "kept"
                record = record.model_copy(update={"status": status, "reason": why, "metrics": {}})
            out.append(record)
        return out

    def _photo(self, record: ManifestRecord) -> np.ndarray | None:
        return components.read(RunSummary(self.folder, ()).picture(record))

    def _union(self, record: ManifestRecord, chosen: Selection) -> np.ndarray | None:
        """Return all chosen masks of a shot together, bool (H, W)."""
        parts = selection.masks(chosen.instances(self.folder, record))
        if parts:
            return np.logical_or.reduce(parts)
        image = self._photo(record)
        return None if image is None else np.zeros(image.shape[:2], bool)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]
