"""Ctrl-C and SIGTERM as a wish to stop, which a training grants when its step is done."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any

from typing_extensions import Self


class StopRequest:
    """Within it, the first signal sets `made`; a second one raises KeyboardInterrupt. `code`: what
    to exit with, 0 where nobody asked.

    Outside the main thread, where no signal arrives, it does nothing.
    """

    def __init__(self) -> None:
        self.code = 0
        self._before: dict[int, Any] = {}

    @property
    def made(self) -> bool:
        return bool(self.code)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._heard)
        return self

    def _heard(self, number: int, frame: Any) -> None:
        if self.made:
            raise KeyboardInterrupt
        self.code = 128 + number
        self._granted()

    def _granted(self) -> None:
        """What to say when the wish is heard."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
