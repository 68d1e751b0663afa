"""Applies a function to the open shots of a batch, so that one bad shot fails alone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

from .shot import Shot

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
) -> list[Shot]:
    """`work` on groups of open shots; a group that raises is tried shot by shot.

    A shot that raises alone has failed in stage `where`. The others pass untouched, in order.
    """
    out = list(shots)
    for indices in grouped(shots, key, size):
        batch = [shots[i] for i in indices]
        try:
            done = work(batch)
        except Exception as error:
            if len(batch) == 1:
                done = [batch[0].fail(error, where)]
            else:
                done = [_alone(work, shot, where) for shot in batch]
        for i, shot in zip(indices, done, strict=True):
            out[i] = shot
    return out


def _alone(work: Work, shot: Shot, where: str) -> Shot:
    try:
        return work([shot])[0]
    except Exception as error:
        return shot.fail(error, where)
