"""A job of the studio: a request with its progress. Knows no worker."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...jobs.request import RunRequest
from ...runs.manifest import ManifestRecord, last_records
from . import preview_files
from .requests import STOPPED, Request, ResumeRequest, TrainRequest

Status = Literal["queued", "running", "done", "failed", "stopped", "crashed"]


@dataclass
class QueuedJob:
    """A request with its progress.

    Args:
        stages: (done, total) of each stage.
        seconds: seconds that each stage took so far.
        last_progress: when a stage last made progress, by the monotonic clock.
        activity: what the worker does before the first stage, such as loading.
        steps: denoising steps since the last progress.
        previews: (file, caption) of each shot, by its id, that was drawn and is not finished.
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
    previews: dict[str, tuple[Path, str]] = field(default_factory=dict)
    message: str = ""
    stopping: bool = False
    started: float | None = None
    ended: float | None = None

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("queued", "running")

    @property
    def resumable(self) -> bool:
        """Whether it is a run that was ended before its end."""
        is_run = isinstance(self.request, RunRequest | ResumeRequest)
        return is_run and self.status in ("stopped", "crashed")

    @property
    def saves(self) -> bool:
        """Whether it saves its work when it is stopped."""
        return isinstance(self.request, TrainRequest)

    def stop(self) -> None:
        """Mark it as stopped now."""
        self.message = STOPPED[type(self.request)]
        self.status, self.activity, self.ended = "stopped", "", time.time()

    def drop_previews(self) -> None:
        """Delete what was shown of shots that were not finished."""
        self.previews.clear()
        preview_files.remove(self.folder)

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
        elif event["event"] == "preview":
            file = self.folder / preview_files.FOLDER / event["file"]
            self.previews[event["id"]] = file, event["caption"]
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
