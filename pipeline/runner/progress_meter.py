"""Progress counters: shots done and expected, for each stage of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

Progress = Callable[[str, int, int], None]
"""Called with stage name, shots done, shots expected in all (which may change)."""


class ProgressMeter:
    """Counts the shots of each of the stages `names` and reports them to `progress`; a skipped shot
    is no longer expected of later stages. Thread-safe."""

    def __init__(self, progress: Progress | None, names: Sequence[str], total: int) -> None:
        self._report = progress
        self._counts = {name: [0, total] for name in names}
        self._lock = threading.Lock()
        for name in self._counts:
            self._send(name)

    def _send(self, name: str) -> None:
        if self._report:
            self._report(name, *self._counts[name])

    def done(self, name: str, worked: int) -> None:
        """Add shots that a stage has finished; stages that are not counted are ignored."""
        with self._lock:
            if name in self._counts:
                count = self._counts[name]
                count[0] += worked
                count[1] = max(count)
                self._send(name)

    def passed(self, name: str, shots: int) -> None:
        """Take off shots that this stage has nothing to do for."""
        with self._lock:
            count = self._counts[name]
            count[1] = max(count[1] - shots, count[0])
            self._send(name)

    def more(self, names: Sequence[str], extra: int) -> None:
        """Expect so many more shots of these stages, where they are counted."""
        with self._lock:
            for name in names:
                if name in self._counts:
                    self._counts[name][1] += extra
                    self._send(name)
