"""A worker of the job queue without a process: a test says what happens, and when."""

from __future__ import annotations

import queue
from typing import Any

from visuals.pipeline.web.queue.requests import Request
from visuals.pipeline.web.queue.worker_handle import OnEvent, WorkerProcess

END = {"event": "end", "code": 0, "message": ""}


class ScriptedWorker(WorkerProcess):
    """Each request takes events from `events` until an `end`, or None for a crash."""

    def __init__(self) -> None:
        super().__init__()
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.requests: list[Request] = []
        self.stops: list[bool] = []

    def start(self) -> None: ...

    def run(self, request: Request, on_event: OnEvent) -> dict[str, Any] | None:
        self.requests.append(request)
        while (event := self.events.get(timeout=30)) is not None and event["event"] != "end":
            on_event(event)
        return event

    def stop(self, *, save: bool = False) -> None:
        self.stops.append(save)
        self.events.put({"event": "end", "code": 130, "message": "saved" if save else ""})

    def exit_code(self) -> int | None:
        return -9


class EndingWorker(ScriptedWorker):
    """Ends each request at once."""

    def run(self, request: Request, on_event: OnEvent) -> dict[str, Any] | None:
        return END
