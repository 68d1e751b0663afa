"""Applies a function to the open shots of a batch, so that one bad shot fails alone, and a batch
that is too large for the memory is halved."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from ..configs.errors import is_out_of_memory
from .accel import memory
from .shot import Shot

Work = Callable[[list[Shot]], list[Shot]]


class Holder:
    """One use of a SharedExclusiveLock. `concurrent`: another thread held it at some time too."""

    concurrent = False


class SharedExclusiveLock:
    """Held by any number of threads, or by one exclusively. Not reentrant."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holders: list[Holder] = []
        self._exclusive = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[Holder]:
        """Hold it beside others; waits while one thread holds it exclusively or waits to."""
        mine = Holder()
        with self._changed:
            self._changed.wait_for(lambda: not self._exclusive)
            self._holders.append(mine)
            if len(self._holders) > 1:
                for holder in self._holders:
                    holder.concurrent = True
        try:
            yield mine
        finally:
            with self._changed:
                self._holders.remove(mine)
                self._changed.notify_all()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[Holder]:
        """Hold it alone; waits until all others have let go."""
        with self._changed:
            self._changed.wait_for(lambda: not self._exclusive)
            self._exclusive = True
            self._changed.wait_for(lambda: not self._holders)
        try:
            yield Holder()
        finally:
            with self._changed:
                self._exclusive = False
                self._changed.notify_all()


_MEMORY = SharedExclusiveLock()
"""Stages of all threads share the process's memory."""


def grouped(
    shots: Sequence[Shot], key: Callable[[Shot], Hashable], size: int
) -> Iterator[list[int]]:
    """Indices of the open shots, at most `size` at a time, each group of one key."""
    groups: dict[Hashable, list[int]] = {}
    for i, shot in enumerate(shots):
        if shot.open:
            groups.setdefault(key(shot), []).append(i)
    for indices in groups.values():
        yield from _parts(indices, size)


def apply(
    shots: Sequence[Shot],
    work: Work,
    *,
    where: str,
    key: Callable[[Shot], Hashable] = lambda shot: None,
    size: int | None = None,
    stage: Any = None,
) -> list[Shot]:
    """The shots after `work` on groups of the open ones; the others pass untouched, in order.

    A group that raises is tried shot by shot; a shot that raises alone has failed. A group that is
    too large for the memory is tried again in halves. One shot that is too large beside the work of
    other threads is tried once more while they wait.

    Args:
        work: a group to as many shots.
        where: the stage's name, for the failures.
        key: shots of one group have the same.
        size: shots in a group, at most; None: the stage's `batch_size`, or 8 without a stage.
        stage: a stage whose `batch_size` is lowered to what fits into the memory.
    """
    out = list(shots)

    def most() -> int:
        return size or (8 if stage is None else int(stage.batch_size))

    waiting = deque(grouped(shots, key, most()))
    alone = False
    while waiting:
        indices = waiting.popleft()
        if len(indices) > most():
            waiting.extendleft(reversed(_parts(indices, most())))
            continue
        batch = [shots[i] for i in indices]
        done: list[Shot] | None = None
        smaller = 0
        with _MEMORY.exclusive() if alone else _MEMORY.shared() as holder:
            try:
                done = work(batch)
            except Exception as error:
                full = is_out_of_memory(error)
                smaller = _halved(batch, stage) if full else 0
                if not smaller and not (full and holder.concurrent):
                    done = _one_by_one(work, batch, error, where)
        if done is None:  # outside of `except`: the error's frames hold what is to be given back
            if smaller:
                stage.batch_size = smaller
            alone = not smaller
            memory.give_back()
            waiting.appendleft(indices)
            continue
        alone = False
        for i, shot in zip(indices, done, strict=True):
            out[i] = shot
    return out


def _parts(indices: list[int], size: int) -> list[list[int]]:
    return [indices[k : k + size] for k in range(0, len(indices), size)]


def _halved(batch: Sequence[Shot], stage: Any) -> int:
    """Half of what the model got at once; 0 where that was one thing. A shot counts as many as it
    has detections: stages after the detector take these apart."""
    if stage is None:
        return 0
    things = sum(max(1, len(shot.detections)) for shot in batch)
    return min(int(stage.batch_size), things) // 2


def _one_by_one(work: Work, batch: list[Shot], error: Exception, where: str) -> list[Shot]:
    """A batch that raised `error`; one shot alone has failed of it."""
    if len(batch) == 1:
        return [batch[0].fail(error, where)]
    return [_alone(work, shot, where) for shot in batch]


def _alone(work: Work, shot: Shot, where: str) -> Shot:
    try:
        return work([shot])[0]
    except Exception as error:
        return shot.fail(error, where)
