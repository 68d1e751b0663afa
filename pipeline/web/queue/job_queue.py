"""The job queue of the studio: a worker process carries out requests one after another.

Each job has a run folder of its own, so that the results of two visitors never mix, and what was
made stays on disk whatever happens to page, worker or server.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ....configs.errors import VisualsError
from ...jobs.draw_grid import GridRequest
from ...jobs.request import RunRequest
from ...runs.manifest import ManifestRecord, last_records
from ..files.free_path import free_path
from .requests import STOPPED, Request, TrainRequest, in_folder
from .worker_handle import WorkerProcess

Status = Literal["queued", "running", "done", "failed", "stopped", "crashed"]
KEPT = 200
"""Jobs remembered; older ones are run folders only."""

SAVING = 30.0
"""Seconds that a training has to save a checkpoint when the server ends."""


class BusyError(VisualsError):
    """Too many jobs wait, or one is at work in the same folder."""


@dataclass
class QueuedJob:
    """A request with its progress.

    Args:
        stages: (done, total) of each stage.
        seconds: seconds that each stage took so far.
        last_progress: when a stage last made progress, by the monotonic clock.
        activity: what the worker does before the first stage, such as loading.
        steps: denoising steps since the last progress.
        message: error, or warnings.
        stopping: whether a training was told to save and stop.
    """

    id: str
    request: Request
    folder: Path
    status: Status = "queued"
    stages: dict[str, tuple[int, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    last_progress: float | None = None
    activity: str = ""
    steps: int = 0
    message: str = ""
    stopping: bool = False
    started: float | None = None
    ended: float | None = None

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("queued", "running")

    @property
    def saves(self) -> bool:
        """Whether it saves its work when it is stopped."""
        return isinstance(self.request, TrainRequest)

    def records(self) -> list[ManifestRecord]:
        """Return the manifest's records so far, the last of each shot."""
        return last_records(self.folder)

    def pace(self, stage: str) -> float | None:
        """Return the seconds that a stage takes for a picture; None before its first progress."""
        done, _ = self.stages.get(stage, (0, 0))
        return self.seconds[stage] / done if done and stage in self.seconds else None

    def left(self, stage: str) -> float | None:
        """Return the seconds that a stage still takes, None where unknown.

        A re-render that has not begun is taken to be as fast as stage 1.
        """
        done, total = self.stages[stage]
        pace = self.pace(stage) or (self.pace("generate") if stage == "rerender" else None)
        return 0.0 if done >= total else None if pace is None else pace * (total - done)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that all stages still take, None where unknown, as it is during a download."""
        left = [self.left(stage) for stage in self.stages if stage != "download"]
        if self.status != "running" or not left or None in left:
            return None
        return sum(filter(None, left))

    def on_event(self, event: dict[str, Any]) -> None:
        """Update the progress by an event of the worker."""
        if event["event"] == "status":
            self.activity = event["text"]
        elif event["event"] == "step":
            self.steps += 1
        elif event["event"] == "stage":
            stage, done, now = event["stage"], event["done"], time.monotonic()
            before = self.stages.get(stage, (0, 0))[0]
            self.stages[stage] = (done, event["total"])
            # Stages take turns: the time since the last progress of any stage was this one's.
            if done > before:
                since = now - self.last_progress if self.last_progress is not None else 0.0
                self.seconds[stage] = self.seconds.get(stage, 0.0) + since
                self.steps, self.activity = 0, ""
            self.last_progress = now


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
        self._jobs: dict[str, QueuedJob] = {}
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
            self._jobs[job.id] = job
            for old in [j.id for j in self._jobs.values() if not j.open][:-KEPT]:
                del self._jobs[old]
            self._change.notify_all()
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
            job.message = STOPPED[type(job.request)]
            job.status, job.ended = "stopped", time.time()
            if job is self._current:
                self.worker.stop()
        return True

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
                    job.status = "stopped"
            self._change.notify_all()
        self.worker.close()

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
                self._change.notify_all()

    def _finish(self, job: QueuedJob, end: dict[str, Any] | None) -> None:
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
    return f"the worker process {what}; what was finished is kept, and the command resumes it"
