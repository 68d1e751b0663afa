"""Ctrl-C and SIGTERM as a request to stop at the next safe point."""

from __future__ import annotations

import signal
import threading
from typing import Any

from typing_extensions import Self


class StopRequest:
    """Context manager: the first SIGINT or SIGTERM sets `made`, a second raises KeyboardInterrupt.

    Outside the main thread, which receives no signals, it does nothing. `code` is the exit code:
    128 + signal number, or 0 without a signal.
    """

    def __init__(self) -> None:
        self.code = 0
        self._before: dict[int, Any] = {}

    @property
    def made(self) -> bool:
        """Whether a stop was requested."""
        return bool(self.code)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.made:
            raise KeyboardInterrupt
        self.code = 128 + number
        self._on_first_signal()

    def _on_first_signal(self) -> None:
        """Hook for subclasses: tell the user."""

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
