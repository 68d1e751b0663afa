"""Ctrl-C: the first finishes what is in hand, the second stops at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM")
_SAID = b"visuals: note: stopping after the pictures in hand; once more stops at once\n"


class Stopper:
    """`with Stopper() as stop: …`: `stop()` is true after the first SIGINT or SIGTERM; the second
    raises KeyboardInterrupt. `code`: what to exit with, 0 where nobody asked."""

    def __init__(self) -> None:
        self.code = 0
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return bool(self.code)

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():
            for name in _SIGNALS:
                number = getattr(signal, name)
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self.code:
            raise KeyboardInterrupt
        self.code = 128 + number
        # Not by click: the signal may have come in the middle of what it writes.
        os.write(2, _SAID)
