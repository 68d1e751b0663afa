"""The worker process as the server sees it: started, given a command, heard, stopped, restarted.

Knows processes and events; no jobs, no pages.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

Hear = Callable[[dict[str, Any]], None]
GRACE = 4.0
"""Seconds that a cancelled command has to end by itself before its process is killed."""


class WorkerProcess:
    """One process of `worker.py`. `do` is called by one thread, `stop` by any."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._busy = False
        self._turn = 0

    def start(self) -> None:
        """Start the process, where none lives, so that it reads the libraries ahead of time."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-m", "visuals.pipeline.web.queue.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is the server's
            )

    def do(self, task: dict[str, Any], hear: Hear) -> dict[str, Any] | None:
        """Run a task to its end; return its `end` event, or None where the process died."""
        self.start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            self._turn += 1
            self._busy = True
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "end":
                    return dict(event)
                hear(event)
        except (BrokenPipeError, ValueError):
            pass
        finally:
            self._busy = False
        return None

    def exit_code(self) -> int | None:
        """How the process ended, as `subprocess` counts: below 0, the signal; None: it lives."""
        process = self._process
        if process is None:
            return None
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, *, gently: bool = False) -> None:
        """End what runs now: asked first, killed where it has not ended after GRACE seconds.

        `gently`: only asked, as by Ctrl-C, so that a training finishes its step and saves.
        """
        process = self._process
        if process is None or not self._busy:
            return
        if gently and hasattr(signal, "SIGUSR1"):
            process.send_signal(signal.SIGINT)
            return
        if not hasattr(signal, "SIGUSR1"):
            process.kill()
            return
        turn = self._turn
        process.send_signal(signal.SIGUSR1)

        def kill() -> None:
            # Only what was to be stopped: the process may be at the next command already.
            if self._busy and turn == self._turn and process is self._process:
                process.kill()

        timer = threading.Timer(GRACE, kill)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """End the process."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
