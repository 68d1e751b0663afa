"""The shots of a run that are to be handed out to workers.

Shots of a worker that died are handed out again one by one, each to an idle worker, so that a
picture that crashes its worker is told from those beside it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...stages.shot import Shot

DEATHS = 3
"""Workers that may die with a picture before it counts as failed."""


class WorkQueue:
    """The shots of a run in shares of `batch_size`."""

    def __init__(self, shots: Sequence[Shot], batch_size: int) -> None:
        self._fresh: Iterator[Shot] = iter(shots)
        self._unseen = len(shots)
        self._batch_size = batch_size
        self._suspects: deque[Shot] = deque()
        self._deaths: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return the number of shots that are still to be handed out."""
        return self._unseen + len(self._suspects)

    @property
    def count(self) -> int:
        """Number of shares left; more workers would be idle."""
        return -(-self._unseen // self._batch_size) + len(self._suspects)

    def take(self, *, idle: bool) -> list[Shot]:
        """Return the next share. Shots of dead workers come first and only for idle workers."""
        if self._suspects:
            return [self._suspects.popleft()] if idle else []
        share = list(islice(self._fresh, self._batch_size))
        self._unseen -= len(share)
        return share

    def suspect(self, shots: Sequence[Shot]) -> bool:
        """Return whether a worker should have no other share beside this one."""
        return any(self._deaths[shot.id] for shot in shots)

    def lost(self, shots: Sequence[Shot]) -> list[Shot]:
        """Take back the shots of a dead worker; return those that have failed."""
        given_up = []
        for shot in shots:
            self._deaths[shot.id] += 1
            if self._deaths[shot.id] < DEATHS:
                self._suspects.append(shot)
            else:
                given_up.append(shot)
        return given_up
