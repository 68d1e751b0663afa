"""What is left of a run to hand out, and which pictures were in hand when a worker died.

A worker that dies takes with it what it had in hand. That is handed out again, one by one and to
a worker that has nothing else, so that a picture which kills is told from those beside it.
Knows no workers.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...stages.shot import Shot

DEATHS = 3
"""So many workers may die with a picture in hand before it counts as failed."""


class WorkQueue:
    """The shots of a run in shares of `batch_size`."""

    def __init__(self, shots: Sequence[Shot], batch_size: int) -> None:
        self._fresh: Iterator[Shot] = iter(shots)
        self._unseen = len(shots)
        self._batch_size = batch_size
        self._suspects: deque[Shot] = deque()
        self._deaths: Counter[str] = Counter()

    def __len__(self) -> int:
        """Shots that are to be handed out."""
        return self._unseen + len(self._suspects)

    @property
    def count(self) -> int:
        """So many shares there will be: more workers have nothing to do."""
        return -(-self._unseen // self._batch_size) + len(self._suspects)

    def take(self, *, idle: bool) -> list[Shot]:
        """The next share; `idle`: for a worker with nothing in hand. A picture that was in hand
        at a death is a share of its own for an idle one; the others wait until it is taken."""
        if self._suspects:
            return [self._suspects.popleft()] if idle else []
        share = list(islice(self._fresh, self._batch_size))
        self._unseen -= len(share)
        return share

    def suspect(self, shots: Sequence[Shot]) -> bool:
        """Whether a share is to be worked on with nothing beside it."""
        return any(self._deaths[shot.id] for shot in shots)

    def lost(self, shots: Sequence[Shot]) -> list[Shot]:
        """Take back what a dead worker had in hand; returns those that are given up."""
        given_up = []
        for shot in shots:
            self._deaths[shot.id] += 1
            if self._deaths[shot.id] < DEATHS:
                self._suspects.append(shot)
            else:
                given_up.append(shot)
        return given_up
