"""The queue of the studio: orders carried out one after another by the worker process.

A job is a command and a run folder of its own, so that two people's results never mix, and what
was made stays on disk whatever becomes of page, worker or server. Knows no pages.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ....configs.errors import VisualsError
from ...runs import folder as run_folder
from .commands import Command
from .worker_process import WorkerProcess

Status = Literal["queued", "running", "done", "failed", "stopped", "crashed"]
OPEN = ("queued", "running")
KEPT = 200
"""Jobs remembered; older ones are run folders only."""

SAVING = 30.0
"""Seconds that a gentle job has to save itself when the server ends."""


class BusyError(VisualsError):
    """Too many jobs wait; the message says how many."""


@dataclass
class QueuedJob:
    """One order on its way. `stages`: (done, of) by stage; `spent`: seconds by stage; `said`: an
    error, or warnings."""

    id: str
    order: Command
    folder: Path
    status: Status = "queued"
    stages: dict[str, tuple[int, int]] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    heard: float | None = None
    saying: str = ""
    steps: int = 0
    said: str = ""
    stopping: bool = False
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None

    @property
    def open(self) -> bool:
        """Neither done nor stopped."""
        return self.status in OPEN

    def lines(self) -> list[dict[str, Any]]:
        """The manifest's lines so far, the last of each shot."""
        return list({line["id"]: line for line in run_folder.read_lines(self.folder)}.values())

    @property
    def share(self) -> float:
        """How much of the work is done, 0..1, each stage weighing the same."""
        parts = [done / of for done, of in self.stages.values() if of]
        return sum(parts) / len(parts) if parts else 0.0

    def left(self, stage: str) -> float | None:
        """Seconds that a stage still takes, at its pace so far; None before it has one."""
        done, of = self.stages.get(stage, (0, 0))
        return self.spent[stage] / done * (of - done) if done and stage in self.spent else None

    @property
    def seconds_left(self) -> float | None:
        """Those of all stages; a re-render that has not begun goes at the pace of stage 1. None
        where that is not known yet."""
        if self.status != "running" or not self.stages:
            return None
        total = 0.0
        for stage, (done, of) in self.stages.items():
            seconds = self.left(stage)
            drawn = self.stages.get("generate", (0, 0))[0]
            if seconds is None and done < of and stage == "rerender" and drawn:
                seconds = self.spent.get("generate", 0.0) / drawn * of
            if seconds is None and done < of:
                return None
            total += seconds or 0.0
        return total

    def hear(self, event: dict[str, Any]) -> None:
        """Take in what the worker tells."""
        if event["event"] == "say":
            self.saying = event["text"]
        elif event["event"] == "step":
            self.steps += 1
        elif event["event"] == "stage":
            stage, done, now = event["stage"], event["done"], time.monotonic()
            before = self.stages.get(stage, (0, 0))[0]
            self.stages[stage] = (done, event["total"])
            # Stages take turns: the time since the last word of any stage was this one's.
            if done > before:
                since = now - self.heard if self.heard is not None else 0.0
                self.spent[stage] = self.spent.get(stage, 0.0) + since
                self.steps, self.saying = 0, ""
            self.heard = now


class JobQueue:
    """Takes orders and has them done. `root`: the folder of the runs, made where it is missing."""

    def __init__(self, root: str | Path, *, most_waiting: int = 50) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.most_waiting = most_waiting
        self.worker = WorkerProcess()
        self._jobs: dict[str, QueuedJob] = {}
        self._change = threading.Condition()
        self._current: QueuedJob | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="studio")
        self._thread.start()

    def submit(self, order: Command, *, out: Path | None = None) -> QueuedJob:
        """Queue an order; its run folder is `out`, or a new one below `root`. Raises BusyError,
        also where a job is at work in `out`."""
        with self._change:
            if out is not None and (now := self.get(out.name)) is not None and now.open:
                raise BusyError(f"{out.name} is being worked on: wait for it, or stop it")
            waiting = sum(job.status == "queued" for job in self._jobs.values())
            if waiting >= self.most_waiting:
                raise BusyError(f"{waiting} jobs wait already: try again when some are done")
            folder = out or self._new_folder(order)
            job = QueuedJob(folder.name, order.to(folder), folder)
            self._jobs[job.id] = job
            for old in [j.id for j in self._jobs.values() if not j.open][:-KEPT]:
                del self._jobs[old]
            self._change.notify_all()
        return job

    def _new_folder(self, order: Command) -> Path:
        """A name by time and class that no run and no waiting job has."""
        words = order.classes[:2] or (order.command,)
        plain = "-".join("".join(c if c.isalnum() else "-" for c in w) for w in words)[:60]
        name = base = f"{time.strftime('%Y%m%d-%H%M%S')}-{plain.strip('-') or order.command}"
        number = 2
        while name in self._jobs or (self.root / name).exists():
            name, number = f"{base}-{number}", number + 1
        return self.root / name

    def get(self, id_: str | None) -> QueuedJob | None:
        return self._jobs.get(id_ or "")

    def __iter__(self) -> Iterator[QueuedJob]:
        return iter(list(self._jobs.values()))

    def ahead(self, job: QueuedJob) -> int:
        """Jobs that are done before a queued one."""
        jobs = [j for j in self if j.open]
        return jobs.index(job) if job in jobs else 0

    def cancel(self, id_: str | None) -> bool:
        """End a job at once; what it made stays. False where it has ended or is not known.

        A gentle one is asked to end, and saves first; asked again it ends at once.
        """
        with self._change:
            job = self.get(id_)
            if job is None or not job.open:
                return False
            if job is self._current and job.order.gentle and not job.stopping:
                job.stopping, job.saying = True, "finishing the step, then saving"
                self.worker.stop(gently=True)
                return True
            job.said = job.order.when_stopped
            job.status, job.ended = "stopped", time.time()
            if job is self._current:
                self.worker.stop()
        return True

    def wait(self, job: QueuedJob, seconds: float | None = None) -> QueuedJob:
        """Return when the job has ended, or the time is up."""
        with self._change:
            self._change.wait_for(
                lambda: not job.open and job is not self._current, timeout=seconds
            )
        return job

    def close(self) -> None:
        """Stop all and end the worker; a gentle job has some seconds to save itself."""
        with self._change:
            self._closed = True
            if self._current is not None and self._current.order.gentle:
                self.worker.stop(gently=True)
                self._change.wait_for(lambda: self._current is None, timeout=SAVING)
            for job in self._jobs.values():
                if job.open:
                    job.status = "stopped"
            self._change.notify_all()
        self.worker.close()

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(
                    lambda: self._closed or any(j.status == "queued" for j in self)
                )
                if self._closed:
                    return
                job = next(j for j in self if j.status == "queued")
                job.status, job.started, self._current = "running", time.time(), job
            try:
                end = self.worker.do(job.order.task(), job.hear)
            except Exception as error:
                end = {"code": 1, "said": f"{type(error).__name__}: {error}"}
            with self._change:
                self._finish(job, end)
                self._current = None
                self._change.notify_all()

    def _finish(self, job: QueuedJob, end: dict[str, Any] | None) -> None:
        job.ended, job.saying = job.ended or time.time(), ""
        if job.status == "stopped":
            return
        if end is None:
            job.status, job.said = "crashed", _why(self.worker.exit_code())
        elif end["code"] and job.stopping:
            job.status, job.said = "stopped", end["said"] or job.order.when_stopped
        elif end["code"]:
            job.status, job.said = "failed", end["said"] or "every picture failed"
        else:
            job.status, job.said = "done", end["said"]


def _why(code: int | None) -> str:
    """What a dead worker's exit code says."""
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
    return f"the process that drew {what}; what was finished is kept, and the command goes on"
