"""How far each stage of a run is, for who shows it. Knows no stages, no shots."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

Progress = Callable[[str, int, int], None]
"""Called with stage name, shots done, shots expected in all (which may change)."""


class ProgressMeter:
    """Counts what each of the stages `names` did and tells `progress`; what is skipped shortens the
    rest. Several threads may count."""

    def __init__(self, progress: Progress | None, names: Sequence[str], total: int) -> None:
        self._tell = progress
        self._counts = {name: [0, total] for name in names}
        self._lock = threading.Lock()
        for name in self._counts:
            self._send(name)

    def _send(self, name: str) -> None:
        if self._tell:
            self._tell(name, *self._counts[name])

    def done(self, name: str, worked: int) -> None:
        """So many more shots are through a stage; one that is not counted is none of the run's."""
        with self._lock:
            if name in self._counts:
                count = self._counts[name]
                count[0] += worked
                count[1] = max(count)
                self._send(name)

    def passed(self, name: str, shots: int) -> None:
        """Shots that need no work here any more."""
        with self._lock:
            count = self._counts[name]
            count[1] = max(count[1] - shots, count[0])
            self._send(name)

    def more(self, names: Sequence[str], extra: int) -> None:
        """So many more shots are expected of the stages that are counted."""
        with self._lock:
            for name in names:
                if name in self._counts:
                    self._counts[name][1] += extra
                    self._send(name)
