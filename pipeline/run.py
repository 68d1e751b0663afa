"""Shots through the stages, in batches, streaming.

Knows the order of the stages, retries and progress; no files, no models, no terminal.
Every shot comes out once, in whatever state it reached. Files are read ahead, in threads. A
picture that stage 1 made and stage 2 refused is drawn again with another seed, up to `retries`
times.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from .summary import Summary as Summary
from .threads import ahead

if TYPE_CHECKING:
    from ..stages.shot import Shot

Stage = Callable[[Sequence["Shot"]], "list[Shot]"]
BEFORE = ("load", "generate", "detect", "verify", "segment", "mask")
"""The stages before a refused picture is drawn again; `rerender` comes after."""
MOST_PIXELS = 64_000_000
"""Of a batch's pictures: with it no more are taken, whatever the batch size."""
_FIRST = 8
"""Shots of the first batch, which nothing is done beside; each later one may have twice as many."""
Progress = Callable[[str, int, int], None]
"""Called with stage name, shots done, shots expected in all (which may change)."""


@dataclass(frozen=True)
class Stages:
    """What a run goes through; None leaves a stage out. `generate` sees prompted shots only."""

    load: Stage | None = None
    generate: Stage | None = None
    detect: Stage | None = None
    verify: Stage | None = None
    segment: Stage | None = None
    mask: Stage | None = None
    rerender: Stage | None = None


def shot_seed(run_seed: int, shot_id: str, attempt: int = 0) -> int:
    """A shot's own seed, 32 bits, so that order, batches and resuming do not change it.

    >>> shot_seed(0, "sneaker-0001") == shot_seed(0, "sneaker-0001")
    True
    """
    text = f"{run_seed}/{shot_id}/{attempt}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")


def run_shots(
    shots: Iterable[Shot],
    stages: Stages,
    *,
    run_seed: int = 0,
    retries: int = 0,
    batch_size: int = 8,
    progress: Progress | None = None,
    summary: Summary | None = None,
    stop: Callable[[], bool] = lambda: False,
    smaller: Callable[[str, int], None] | None = None,
) -> Iterator[Shot]:
    """Yield every shot when it is finished, a batch at a time.

    Memory holds one batch and the files of the next, each of at most `batch_size` pictures or
    about MOST_PIXELS, however many shots there are. `summary` is counted up on the way. `stop` is
    asked before each batch: once it is true no more is begun. `smaller` is told stage and batch
    size where a batch was too large for the memory.
    """
    summary = summary if summary is not None else Summary()
    meter = _Meter(progress, stages, len(shots) if isinstance(shots, Sized) else 0)
    again: deque[tuple[Shot, int]] = deque()
    started, cpu = time.perf_counter(), time.process_time()
    with closing(_loaded(shots, stages, batch_size, summary)) as fresh:
        size = min(batch_size, _FIRST)
        while not stop():
            taken = [again.popleft() for _ in range(min(size, len(again)))]
            taken += ((shot, 0) for shot in _some(fresh, size - len(taken)))
            size = min(batch_size, 2 * size)
            if not taken:
                break
            batch, attempts = [s for s, _ in taken], [a for _, a in taken]
            company = tuple(bare(shot) for shot in batch)
            batch = [replace(shot, company=company) for shot in batch]
            meter.loaded(sum(a == 0 for a in attempts))
            for name in BEFORE[1:]:
                batch = _through(name, batch, stages, meter, summary, smaller)
            ready = []
            for shot, attempt in zip(batch, attempts, strict=True):
                if _worth_another(shot, stages, attempt, retries):
                    again.append((_again(shot, run_seed, attempt + 1), attempt + 1))
                    summary.retried += 1
                    meter.more(BEFORE[1:], 1)
                else:
                    ready.append(shot.with_metrics(attempts=attempt + 1) if attempt else shot)
            batch.clear()
            for shot in _through("rerender", ready, stages, meter, summary, smaller):
                done = replace(shot, status="kept") if shot.status == "pending" else shot
                summary.count(done)
                summary.seconds = time.perf_counter() - started
                yield done
    summary.seconds = time.perf_counter() - started
    summary.cpu_seconds = time.process_time() - cpu


def _some(shots: Iterator[Shot], most: int) -> Iterator[Shot]:
    """Up to `most`, fewer where their pictures are large."""
    count = 0
    for shot in islice(shots, most):
        yield shot
        count += pixels(shot)
        if count >= MOST_PIXELS:
            return


def pixels(shot: Shot) -> int:
    """Of the picture that it holds; 0 where it holds none."""
    return 0 if shot.image is None else shot.image.shape[0] * shot.image.shape[1]


def _loaded(
    shots: Iterable[Shot], stages: Stages, depth: int, summary: Summary
) -> Generator[Shot, None, None]:
    """The shots with the pixels of their files, which threads read ahead of the model."""
    load = stages.load
    if load is None:
        yield from shots
        return

    def one(shot: Shot) -> Shot:
        if not shot.open:
            return shot
        started = time.perf_counter()
        (done,) = _guarded("load", load, [shot])
        seconds = round(time.perf_counter() - started, 4)
        return replace(done, seconds={**done.seconds, "load": seconds})

    with closing(ahead(shots, one, depth=depth, weigh=pixels, most=MOST_PIXELS)) as ready:
        for shot in ready:
            spent = summary.per_stage.get("load", 0.0) + shot.seconds.get("load", 0.0)
            summary.per_stage["load"] = spent
            yield shot


def _through(
    name: str,
    batch: list[Shot],
    stages: Stages,
    meter: _Meter,
    summary: Summary,
    smaller: Callable[[str, int], None] | None,
) -> list[Shot]:
    stage: Stage | None = getattr(stages, name)
    if stage is None or not batch:
        return batch
    todo = [k for k, shot in enumerate(batch) if shot.status == "pending"]
    out = list(batch)
    meter.passed(name, len(batch) - len(todo))
    first = 0
    while first < len(todo):
        size = getattr(stage, "batch_size", 0) or len(batch)
        part = todo[first : first + size]
        first += size
        started = time.perf_counter()
        done = _guarded(name, stage, [batch[k] for k in part])
        seconds = time.perf_counter() - started
        summary.per_stage[name] = summary.per_stage.get(name, 0.0) + seconds
        for k, shot in zip(part, done, strict=True):
            out[k] = replace(shot, seconds={**shot.seconds, name: round(seconds / len(part), 4)})
        meter.done(name, len(part))
        fitted = getattr(stage, "batch_size", size)
        if fitted < size:
            summary.batch_sizes[name] = fitted
            if smaller:
                smaller(name, fitted)
    if name == "generate":
        summary.made += sum(out[k].image is not None for k in todo)
    return out


def _guarded(name: str, stage: Stage, shots: list[Shot]) -> list[Shot]:
    """A stage answers for each shot itself; should it raise all the same, its shots fail."""
    try:
        return stage(shots)
    except Exception as error:
        return [shot.fail(error, name) for shot in shots]


def _worth_another(shot: Shot, stages: Stages, attempt: int, retries: int) -> bool:
    drawn = stages.generate is not None and hasattr(shot.source, "prompt")
    return drawn and shot.status == "skipped" and attempt < retries


def _again(shot: Shot, run_seed: int, attempt: int) -> Shot:
    """The shot as it began, with the seed of its next attempt."""
    source = replace(shot.source, seed=shot_seed(run_seed, shot.id, attempt))
    return replace(bare(shot), source=source)


def bare(shot: Shot) -> Shot:
    """The shot as it began: what it is made of, and nothing that a stage added."""
    return type(shot)(
        id=shot.id,
        source=shot.source,
        classes=shot.classes,
        edit=shot.edit,
        settings=shot.settings,
    )


class _Meter:
    """Counts what each stage did and tells `progress`; what is skipped shortens the rest."""

    def __init__(self, progress: Progress | None, stages: Stages, total: int) -> None:
        self._tell = progress
        names = (*BEFORE, "rerender")
        self._counts = {n: [0, total] for n in names if getattr(stages, n) is not None}
        for name in self._counts:
            self._send(name)

    def _send(self, name: str) -> None:
        if self._tell:
            self._tell(name, *self._counts[name])

    def loaded(self, shots: int) -> None:
        if "load" in self._counts:
            self.done("load", shots)

    def done(self, name: str, worked: int) -> None:
        count = self._counts[name]
        count[0] += worked
        count[1] = max(count)
        self._send(name)

    def passed(self, name: str, shots: int) -> None:
        """Shots that need no work here any more."""
        count = self._counts[name]
        count[1] = max(count[1] - shots, count[0])
        self._send(name)

    def more(self, names: Sequence[str], extra: int) -> None:
        for name in names:
            if name in self._counts:
                self._counts[name][1] += extra
                self._send(name)
