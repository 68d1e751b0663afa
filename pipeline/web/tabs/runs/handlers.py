"""Handlers of the tab Runs: they show the list or a run, begin jobs and delete runs.

They return updates of components.
"""

from __future__ import annotations

from itertools import islice

import gradio as gr

from ...files import run_folders, run_overview
from ...queue import requests
from ...queue.job_queue import JobQueue, QueuedJob
from ...widgets import before_after, components
from ...widgets.components import Update
from . import cards
from .layout import PAGE, Layout
from .picture_details import details

MOST = 200
"""Pictures of a run that are shown at a time; the zip has all."""
NO_PICTURE = '<p class="said">No such picture in this run.</p>'
_COMPLETE = ("", "working", "waiting")


class Handlers:
    """The handlers of a layout over a job queue."""

    def __init__(self, queue: JobQueue, layout: Layout) -> None:
        self.queue, self.root, self.layout = queue, queue.root, layout

    def find(self, words: str, many: int = PAGE) -> Update:
        """List the newest runs that have the words."""
        layout = self.layout
        found = list(islice(run_overview.find(self.root, words or ""), many + 1))
        jobs = {job.id: job for job in self.queue}
        text = cards.of_runs(found[:many], jobs) if found else ""
        return {
            layout.runs: text or (cards.NO_MATCH if words else cards.EMPTY),
            layout.more_runs: gr.Button(visible=len(found) > many),
            layout.many: many,
        }

    def more(self, words: str, many: int) -> Update:
        """List PAGE runs more."""
        return self.find(words, many + PAGE)

    def choose(self, words: str, many: int, event: gr.EventData) -> Update:
        """Open the run whose card was pressed."""
        return self.refresh(str(event._data["key"]), words, many)

    def refresh(self, id_: str, words: str, many: int) -> Update:
        """Show what is on the disk: the run that is open, if it is still there, else the list."""
        try:
            return self.open(id_) if id_ else self.close(words, many)
        except run_folders.RunNotFoundError:
            return self.close(words, many)

    def close(self, words: str, many: int) -> Update:
        """Show the list in place of a run."""
        layout = self.layout
        return {
            layout.at: "",
            layout.opened: gr.Column(visible=False),
            layout.listing: gr.Column(visible=True),
            **self.find(words, many),
        }

    def open(self, id_: str) -> Update:
        """Show a run in place of the list; raises RunNotFoundError."""
        folder, layout = run_folders.folder(self.root, id_), self.layout
        overview, job = run_overview.overview(self.root, id_), self.queue.get(id_)
        try:
            line = str(requests.request_of_run(folder))
        except ValueError:
            line = ""
        problem = components.error_message(ValueError(overview.problem)) if overview.problem else ""
        classes = run_folders.read(self.root, id_).classes if not problem else []
        return {
            layout.at: id_,
            layout.listing: gr.Column(visible=False),
            layout.opened: gr.Column(visible=True),
            layout.head: cards.head(overview, job, (folder / run_overview.REPORT).is_file()),
            layout.outcome: "all",
            layout.label: gr.Dropdown(["all", *classes], value="all"),
            layout.progress: "",
            layout.message: problem,
            layout.command: line,
            layout.resume: gr.Button(visible=cards.status(overview, job) not in _COMPLETE),
            layout.question: cards.question(overview),
            **self.ask(False),
            **self.pictures(id_, "all", "all"),
        }

    def pictures(self, id_: str, outcome: str, label: str) -> Update:
        """Show the pictures of one outcome and class, and the first of them large."""
        layout = self.layout
        try:
            run = run_folders.read(self.root, id_)
        except ValueError:
            return {layout.pictures: "", layout.details: "", layout.slider: before_after.nothing()}
        records = run.chosen(outcome, label)
        text = cards.of_pictures(run, records[:MOST]) if records else NO_PICTURE
        if len(records) > MOST:
            text += f'<p class="said">The first {MOST} of {len(records)}; the zip has all.</p>'
        return {
            layout.pictures: text,
            layout.details: details(records[0]) if records else "",
            layout.slider: before_after.update(run, 0, records[:1]),
        }

    def pick(self, id_: str, event: gr.EventData) -> Update:
        """Show the picture large whose card was pressed."""
        run = run_folders.read(self.root, id_)
        records = [record for record in run.records if record.id == event._data["key"]]
        return {
            self.layout.details: details(records[0]) if records else "",
            self.layout.slider: before_after.update(run, 0, records),
        }

    def run_again(self, id_: str) -> Update:
        """Queue the same in a new folder."""
        request = requests.request_of_run(run_folders.folder(self.root, id_))
        return self._begun(self.queue.submit(request), id_)

    def resume(self, id_: str) -> Update:
        """Queue what a run lacks."""
        return self._begun(self.queue.resume(id_), id_)

    def _begun(self, job: QueuedJob, id_: str) -> Update:
        layout = self.layout
        return {
            layout.started: (job.id, id_),
            layout.timer: gr.Timer(active=True),
            layout.progress: components.progress(job, self.queue),
            layout.message: "",
        }

    def watch(self, started: tuple[str, str], at: str) -> Update:
        """Show the progress of a job that was begun from the open run, and at its end its run."""
        job, layout = self.queue.get(started[0]), self.layout
        if job is None or at != started[1]:
            return {layout.timer: gr.Timer(active=False)}
        update: Update = {
            layout.timer: gr.Timer(active=job.open),
            layout.progress: components.progress(job, self.queue),
        }
        return update if job.open or not job.records() else {**self.open(job.id), **update}

    def ask(self, sure: bool) -> Update:
        """Show the question before a deletion in place of the buttons, or the buttons."""
        layout = self.layout
        return {layout.sure: gr.Column(visible=sure), layout.buttons: gr.Row(visible=not sure)}

    def delete(self, id_: str, words: str, many: int) -> Update:
        """Delete the open run and show the list."""
        self.queue.delete_run(id_)
        return self.close(words, many)
