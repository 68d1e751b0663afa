"""Work of several threads that share one memory: together, or one alone. Knows no shots."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Company:
    """`others`: whether somebody else worked at any time of this work."""

    others = False


class SharedExclusiveLock:
    """Those who work at the same time; a thread enters it once at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._working: list[Company] = []
        self._alone = False

    @contextlib.contextmanager
    def among(self) -> Iterator[Company]:
        """Work beside others; waits while one is alone or wants to be."""
        mine = Company()
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._working.append(mine)
            if len(self._working) > 1:
                for one in self._working:
                    one.others = True
        try:
            yield mine
        finally:
            with self._changed:
                self._working.remove(mine)
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[Company]:
        """Work while nobody else does; waits until those in hand are done."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone = True
            self._changed.wait_for(lambda: not self._working)
        try:
            yield Company()
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
