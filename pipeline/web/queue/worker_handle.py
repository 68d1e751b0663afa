"""The worker process as the server sees it: started, given requests, stopped, restarted."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from .requests import Request

OnEvent = Callable[[dict[str, Any]], None]
GRACE = 4.0
"""Seconds that a stopped request has to end before the process is killed."""


class WorkerProcess:
    """A process of `worker.py`. One thread calls `run`, any thread `stop`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._busy = False
        self._turn = 0

    def start(self) -> None:
        """Start the process where none runs; it imports the libraries ahead of time."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-m", "visuals.pipeline.web.queue.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is for the server alone
            )

    def run(self, request: Request, on_event: OnEvent) -> dict[str, Any] | None:
        """Carry out a request; return its `end` event, or None where the process died."""
        self.start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            pickle.dump(request, process.stdin)
            process.stdin.flush()
            self._turn += 1
            self._busy = True
            for line in process.stdout:
                event: dict[str, Any] = json.loads(line)
                if event["event"] == "end":
                    return event
                on_event(event)
        except (BrokenPipeError, ValueError):
            pass
        finally:
            self._busy = False
        return None

    def exit_code(self) -> int | None:
        """Return how the process ended, as `subprocess` counts; None while it runs."""
        if self._process is None:
            return None
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, *, save: bool = False) -> None:
        """End what runs now; the process is killed where it has not ended after GRACE seconds.

        With `save` it is interrupted as by Ctrl-C, so that a training finishes its step and saves.
        """
        process = self._process
        if process is None or not self._busy:
            return
        if not hasattr(signal, "SIGUSR1"):
            process.kill()
            return
        if save:
            process.send_signal(signal.SIGINT)
            return
        turn = self._turn
        process.send_signal(signal.SIGUSR1)

        def kill() -> None:
            # Only what was to be stopped: the process may be at the next request already.
            if self._busy and turn == self._turn and process is self._process:
                process.kill()

        timer = threading.Timer(GRACE, kill)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
