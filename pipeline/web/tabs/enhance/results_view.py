"""What the tab Enhance shows of its jobs: searches on their way, re-renders and their results.

Knows the desk and files; no models.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from .....configs.schema import load_settings
from ...files import run_folders
from ...queue import commands
from ...queue.commands import Command
from ...queue.job_queue import JobQueue
from ...widgets import before_after, components, gallery
from . import selection
from . import session as search
from .search_view import NothingSelectedError, SearchView


class ResultsView:
    """The job side of the tab over one desk."""

    def __init__(self, desk: JobQueue, finder: SearchView) -> None:
        self.desk, self.finder = desk, finder

    def watch(self, id_: str, before: tuple[str, int], session: dict[str, Any]) -> list[Any]:
        """The job that runs, be it a search or a re-render: progress, photos (4), wording (4),
        results (3), command, cancel, timer, what is shown now, session."""
        job = self.desk.get(id_)
        skip: Any = gr.skip()
        if job is None:
            off = [gr.Button(interactive=False), gr.Timer(active=False)]
            found = self.finder.photos(session)
            words = self.finder.words(session)
            return ["", *found, *words, skip, skip, skip, skip, *off, before, skip]
        lines = job.lines()
        now = job.id, len(lines) + (0 if job.open else 1)
        searching = job.order.command == "filter"
        found, words, after, kept = [skip] * 4, [skip] * 4, [skip] * 3, skip
        fresh = before[0] == ""
        if now != before and searching and lines:
            if not session["current"]:
                kept = session = {**session, "current": lines[0]["id"]}
                fresh = True
            found = self.finder.photos(session)
        elif now != before and not searching:
            after = self.outcome(run_folders.RunSummary(job.folder, tuple(lines)))
            found = self.finder.photos(session) if fresh else found
        if fresh and found[0] is not skip:
            words = self.finder.words(session)
        line = job.order.line()
        if searching and session.get("found") == job.id:
            order = self.finder.at_threshold(session)
            line = order.line() if order else line
        return [
            components.progress(job, self.desk) + ("" if searching else components.facts(lines)),
            *found, *words, *after, line, gr.Button(interactive=job.open),
            gr.Timer(active=job.open), now, kept,
        ]  # fmt: skip

    def rerender(self, session: dict[str, Any], steps: float, seed: float) -> str:
        """The id of a job that re-renders what the session chose. Raises ValueError."""
        out, counts = self.finder.select(session)
        if not counts["kept"]:
            raise NothingSelectedError("nothing is left to re-render: lower the threshold")
        preset = commands.of_run(out).preset
        usual, said = load_settings(preset).rerender, search.said(session)
        strength = float(said["strength"])
        order = Command(
            "enhance",
            (str(out),),
            edit=(said["edit"] or "").strip(),
            prompt=(said["prompt"] or "").strip() or None,
            strength=strength if strength != usual.strength else None,
            seed=int(seed or 0) or None,
            preset=preset,
            changes={"rerender.steps": int(steps)} if steps != usual.steps else {},
        )
        commands.check(order)
        return self.desk.submit(order).id

    @staticmethod
    def outcome(run: run_folders.RunSummary, index: int | None = None) -> list[Any]:
        """Slider, results and control map of the shot of that number, else of the first result."""
        lines = gallery.shown(run)
        if index is None:
            index = next((k for k, line in enumerate(lines) if line["files"]["result"]), 0)
        name = lines[index]["files"]["control"] if lines else None
        control = components.read(run.folder / name) if name else None
        return [
            before_after.of(run, index),
            gallery.holding(gallery.of(run), 2),
            gr.Image(control, visible=control is not None),
        ]

    def result(self, id_: str, index: int) -> list[Any]:
        """Slider and control map of the shot of that number."""
        job = self.desk.get(id_)
        if job is None:
            return [gr.skip(), gr.skip()]
        pair, _, control = self.outcome(
            run_folders.RunSummary(job.folder, tuple(job.lines())), index
        )
        return [pair, control]


def seen(session: Any, usual: Any) -> dict[str, Any]:
    """A session as a browser kept it, with what is missing."""
    session = {**search.EMPTY, **(session if isinstance(session, dict) else {})}
    if session["threshold"] is None:
        session["threshold"] = max(selection.FLOOR, usual.detect.box_threshold)
    if "strength" not in session["all"]:
        session["all"] = {"edit": "", "prompt": "", "strength": usual.rerender.strength}
    return session
