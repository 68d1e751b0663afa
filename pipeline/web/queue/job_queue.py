"""The job queue of the studio: a worker process carries out requests one after another.

Each job has a run folder of its own, so that the results of two visitors never mix, and what was
made stays on disk whatever happens to page, worker or server. The jobs themselves are on disk too:
one that was open when the server ended is a stopped one of the next.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ....configs.errors import VisualsError
from ...jobs.draw_grid import GridRequest
from ...jobs.request import RunRequest
from ..files import run_folders
from ..files.free_path import free_path
from . import job_records
from .queued_job import QueuedJob as QueuedJob
from .requests import STOPPED, Request, ResumeRequest, in_folder, request_of_run
from .worker_handle import WorkerProcess

KEPT = 200
"""Jobs remembered, also by the next server; older ones are run folders only."""

RECENT = 600.0
"""Seconds for which an ended job is listed."""

SAVING = 30.0
"""Seconds that a training has to save a checkpoint when the server ends."""


class BusyError(VisualsError):
    """Too many jobs wait, or one is at work in the same folder."""


class JobQueue:
    """A queue of jobs over one worker.

    Args:
        root: folder of the runs, made where it is missing.
        most_waiting: jobs that may wait; more are refused.
        worker: makes the worker.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        most_waiting: int = 50,
        worker: Callable[[], WorkerProcess] = WorkerProcess,
    ) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.most_waiting = most_waiting
        self.worker = worker()
        self._jobs = {job.id: job for job in job_records.read(self.root)}
        self._change = threading.Condition()
        self._current: QueuedJob | None = None
        self._closed = False
        threading.Thread(target=self._work, daemon=True, name="studio").start()

    def submit(self, request: Request, *, out: Path | None = None) -> QueuedJob:
        """Queue a request, to be written to `out`, or to a new folder below `root`.

        Raises:
            BusyError: too many jobs wait, or one is at work in `out`.
        """
        with self._change:
            if out is not None and (current := self.get(out.name)) is not None and current.open:
                raise BusyError(f"{out.name} is being worked on: wait for it, or stop it")
            waiting = sum(job.status == "queued" for job in self._jobs.values())
            if waiting >= self.most_waiting:
                raise BusyError(f"{waiting} jobs wait already: try again when some are done")
            folder = out or self._new_folder(request)
            job = QueuedJob(folder.name, in_folder(request, folder), folder)
            self._jobs.pop(job.id, None)  # it ended, and waits behind the others now
            self._jobs[job.id] = job
            for old in [j.id for j in self._jobs.values() if not j.open][:-KEPT]:
                del self._jobs[old]
            self._changed()
        return job

    def _new_folder(self, request: Request) -> Path:
        """Return a folder named by time and class that no run and no waiting job has."""
        command = request.command if isinstance(request, RunRequest) else "grid"
        classes = request.classes[:2] if isinstance(request, RunRequest | GridRequest) else ()
        text = "-".join(classes or (command,))
        plain = "".join(c if c.isalnum() else "-" for c in text)[:60].strip("-")
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{plain or command}"
        return free_path(self.root / name, lambda path: path.name in self._jobs or path.exists())

    def get(self, id_: str | None) -> QueuedJob | None:
        """Return the job of that id, None where there is none."""
        return self._jobs.get(id_ or "")

    def __iter__(self) -> Iterator[QueuedJob]:
        return iter(list(self._jobs.values()))

    def recent(self) -> list[QueuedJob]:
        """Return the open jobs in their order, then those that ended of late, newest first."""
        since = time.time() - RECENT
        ended = [job for job in self if not job.open and (job.ended or 0) > since]
        return [
            *sorted((job for job in self if job.open), key=lambda job: job.status == "queued"),
            *sorted(ended, key=lambda job: -(job.ended or 0)),
        ]

    def ahead(self, job: QueuedJob) -> int:
        """Return how many jobs come before a queued one."""
        jobs = [j for j in self if j.open]
        return jobs.index(job) if job in jobs else 0

    def cancel(self, id_: str | None) -> bool:
        """Stop a job; what it made stays. False where it has ended or is unknown.

        A training saves a checkpoint first; cancelled once more it ends at once.
        """
        with self._change:
            job = self.get(id_)
            if job is None or not job.open:
                return False
            if job is self._current and job.saves and not job.stopping:
                job.stopping, job.activity = True, "finishing the step, then saving"
                self.worker.stop(save=True)
                return True
            job.stop()
            if job is self._current:
                self.worker.stop()
            self._changed()
        return True

    def resume(self, id_: str) -> QueuedJob:
        """Queue the rest of a run that has ended.

        Raises:
            BusyError: it has not ended, or too many jobs wait.
            RunNotFoundError, RunFolderError: there is no such run, or its record is of no use.
        """
        job = self.get(id_)
        if job is not None and isinstance(job.request, RunRequest):
            return self.submit(job.request, out=job.folder)
        folder = run_folders.folder(self.root, id_)
        request_of_run(folder)
        return self.submit(ResumeRequest(str(folder)), out=folder)

    def delete_run(self, id_: str) -> None:
        """Delete a run and forget its job.

        Raises:
            BusyError: a job writes to it or will read from it.
            RunNotFoundError, RunFolderError: see `run_folders.delete`.
        """
        with self._change:
            for job in self:
                reads = _reads(job.request, self.root / id_)
                if not self.has_ended(job) and (job.id == id_ or reads):
                    raise BusyError(f"{id_} is in use by a job: wait for it, or cancel it")
            run_folders.delete(self.root, id_)
            self._jobs.pop(id_, None)
            self._changed()

    def has_ended(self, job: QueuedJob) -> bool:
        """Return whether the job has ended and the worker is done with it."""
        return not job.open and job is not self._current

    def wait(self, job: QueuedJob, seconds: float | None = None) -> QueuedJob:
        """Return when the job has ended, or the time is up."""
        with self._change:
            self._change.wait_for(lambda: self.has_ended(job), timeout=seconds)
        return job

    def close(self) -> None:
        """Stop all jobs and end the worker; a training has some seconds to save itself."""
        with self._change:
            self._closed = True
            if self._current is not None and self._current.saves:
                self.worker.stop(save=True)
                self._change.wait_for(lambda: self._current is None, timeout=SAVING)
            for job in self._jobs.values():
                if job.open:
                    job.stop()
            self._changed()
        self.worker.close()

    def _changed(self) -> None:
        """Keep the jobs on disk and wake who waits for a change; the lock is held."""
        job_records.write(self.root, self)
        self._change.notify_all()

    def _next(self) -> QueuedJob | None:
        return next((job for job in self if job.status == "queued"), None)

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or self._next())
                job = self._next()
                if self._closed or job is None:
                    return
                job.status, job.started, self._current = "running", time.time(), job
            try:
                end = self.worker.run(job.request, job.on_event)
            except Exception as error:
                end = {"code": 1, "message": f"{type(error).__name__}: {error}"}
            with self._change:
                self._finish(job, end)
                self._current = None
                self._changed()

    def _finish(self, job: QueuedJob, end: dict[str, Any] | None) -> None:
        job.drop_previews()
        job.ended, job.activity = job.ended or time.time(), ""
        if job.status == "stopped":
            return
        if end is None:
            job.status, job.message = "crashed", _crash_message(self.worker.exit_code())
        elif end["code"] and job.stopping:
            job.status, job.message = "stopped", end["message"] or STOPPED[type(job.request)]
        elif end["code"]:
            job.status, job.message = "failed", end["message"] or "every picture failed"
        else:
            job.status, job.message = "done", end["message"]


def _reads(request: Request, folder: Path) -> bool:
    return isinstance(request, RunRequest) and str(folder) in request.inputs


def _crash_message(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        what = f"was ended by {name}"
        if name == "SIGKILL":
            what += " (the system may be out of memory: take smaller batches or pictures)"
    else:
        what = f"ended with exit code {code}"
    return f"the worker process {what}; what was finished is kept, and Resume continues it"
