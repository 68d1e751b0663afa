"""Cuts a stream of shots into batches, and batches into parts for several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from ...stages.accel import cpu_parallel
from .summary import Summary

if TYPE_CHECKING:
    from ...stages.shot import Shot

MOST_PIXELS = 64_000_000
"""Of a batch's pictures: with it no more are taken, whatever the batch size."""
_FIRST = 8
"""A thread's shots in the first batch, beside which no other work is done; later ones double."""
Try = tuple["Shot", int]
"""A shot and how many times it was drawn before."""


@dataclass(frozen=True)
class Part:
    """Shots of a batch that go through the stages together, with their counts.

    `last`: the batch is complete with it. `alone`: the batch is a single shot, for which several
    threads have no use.
    """

    tries: list[Try]
    last: bool
    alone: bool
    summary: Summary = field(default_factory=Summary)


def each(
    fresh: Iterator[Shot],
    again: deque[Try],
    batch_size: int,
    parallel_parts: int,
    stop: Callable[[], bool],
) -> Generator[list[Try], None, None]:
    """Batches of shots with their attempts, rejected pictures that are drawn again first."""
    size = min(batch_size, _FIRST * parallel_parts)
    while not stop():
        taken = [again.popleft() for _ in range(min(size, len(again)))]
        taken += ((shot, 0) for shot in _some(fresh, size - len(taken)))
        size = min(batch_size, 2 * size)
        if not taken:
            break
        batch = tuple(bare(shot) for shot, _ in taken)
        yield [(replace(shot, batch=batch), attempt) for shot, attempt in taken]


def parts(batches: Iterable[list[Try]], parallel_parts: int) -> Iterator[Part]:
    """Each batch, cut evenly for `parallel_parts` threads."""
    for batch in batches:
        cut = cpu_parallel.cut(batch, len(batch), parallel_parts)
        for tries in cut:
            yield Part(tries, last=tries is cut[-1], alone=parallel_parts > 1 and len(batch) == 1)


def _some(shots: Iterator[Shot], most: int) -> Iterator[Shot]:
    """Up to `most` shots, fewer where their pictures are large."""
    count = 0
    for shot in islice(shots, most):
        yield shot
        count += pixels(shot)
        if count >= MOST_PIXELS:
            return


def pixels(shot: Shot) -> int:
    """Pixels of the picture that a shot holds; 0 where it holds none."""
    return 0 if shot.image is None else shot.image.shape[0] * shot.image.shape[1]


def bare(shot: Shot) -> Shot:
    """The shot as it began, without anything that a stage added."""
    return type(shot)(
        id=shot.id,
        source=shot.source,
        classes=shot.classes,
        edit=shot.edit,
        settings=shot.settings,
    )
