"""Applies a function to the open shots of a batch, so that one bad shot fails alone, and a batch
that is too large for the memory is halved."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from .accel import memory
from .shared_lock import SharedExclusiveLock
from .shot import Shot

_CROWD = SharedExclusiveLock()
Work = Callable[[list[Shot]], list[Shot]]


def grouped(
    shots: Sequence[Shot], key: Callable[[Shot], Hashable], size: int
) -> Iterator[list[int]]:
    """Indices of the open shots, at most `size` at a time, each group of one key."""
    groups: dict[Hashable, list[int]] = {}
    for i, shot in enumerate(shots):
        if shot.open:
            groups.setdefault(key(shot), []).append(i)
    for indices in groups.values():
        for start in range(0, len(indices), size):
            yield indices[start : start + size]


def apply(
    shots: Sequence[Shot],
    work: Work,
    *,
    where: str,
    key: Callable[[Shot], Hashable] = lambda shot: None,
    size: int = 8,
    stage: Any = None,
) -> list[Shot]:
    """`work` on groups of open shots; a group that raises is tried shot by shot.

    A shot that raises alone has failed in stage `where`. The others pass untouched, in order.
    `stage`: whose `batch_size` goes over `size`. A group that is too large for the memory is
    tried again in halves, and `stage.batch_size` stays at what fitted. One shot that is too large
    beside the work of other threads is tried once more without them.
    """
    out = list(shots)
    waiting = deque(grouped(shots, key, size if stage is None else stage.batch_size))
    lonely = False
    while waiting:
        indices = waiting.popleft()
        if stage is not None and len(indices) > stage.batch_size:
            waiting.extendleft(reversed(_parts(indices, stage.batch_size)))
            continue
        batch = [shots[i] for i in indices]
        done: list[Shot] | None = None
        smaller = 0
        with _CROWD.alone() if lonely else _CROWD.among() as company:
            try:
                done = work(batch)
            except Exception as error:
                full = memory.is_out_of_memory(error)
                smaller = _halved(batch, stage) if full else 0
                if not smaller and not (full and company.others):
                    done = _one_by_one(work, batch, error, where)
        if done is None:  # outside of `except`: the error's frames hold what is to be given back
            if smaller:
                stage.batch_size = smaller
            lonely = not smaller
            memory.give_back()
            waiting.appendleft(indices)
            continue
        lonely = False
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
