"""Shots through the stages, in batches, streaming.

Knows the order of the stages, retries and progress; no files, no models, no terminal.
Every shot comes out once, in whatever state it reached. Files are read ahead, in threads. A
picture that stage 1 made and stage 2 refused is drawn again with another seed, up to `retries`
times.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...stages.accel import cpu_parallel
from . import batching
from .batching import MOST_PIXELS, Part, Try, bare, pixels
from .io_threads import prefetch
from .progress import Progress as Progress
from .progress import ProgressMeter
from .summary import Summary as Summary

if TYPE_CHECKING:
    from ...stages.shot import Shot

Stage = Callable[[Sequence["Shot"]], "list[Shot]"]
BEFORE = ("load", "generate", "detect", "verify", "segment", "mask")
"""The stages before a refused picture is drawn again; `rerender` comes after."""


@dataclass(frozen=True)
class Stages:
    """What a run goes through; None leaves a stage out. `generate` sees prompted shots only.

    `at_once`: parts of batches that go through the stages before `rerender` at the same time, a
    thread and a core each; these stages must allow it.
    """

    load: Stage | None = None
    generate: Stage | None = None
    detect: Stage | None = None
    verify: Stage | None = None
    segment: Stage | None = None
    mask: Stage | None = None
    rerender: Stage | None = None
    at_once: int = 1


def fitted(stages: Stages, sizes: Mapping[str, int]) -> Stages:
    """Stages at the batch sizes that memory was found to allow, by name; where that was one of a
    stage, no two parts go at once."""
    for name, size in sizes.items():
        stage: Any = getattr(stages, name, None)
        if stage is not None:
            stage.batch_size = min(stage.batch_size, size)
    return replace(stages, at_once=1) if 1 in sizes.values() else stages


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

    Memory holds a batch or, with several threads, two, and the files of the next, each of at most
    `batch_size` pictures or about MOST_PIXELS, however many shots there are. `summary` is counted
    up on the way. `stop` is asked before each batch: once it is true no more is begun. `smaller` is
    told stage and batch size where a batch was too large for the memory.
    """
    summary = summary if summary is not None else Summary()
    names = [name for name in (*BEFORE, "rerender") if getattr(stages, name) is not None]
    meter = ProgressMeter(progress, names, len(shots) if isinstance(shots, Sized) else 0)
    again: deque[Try] = deque()
    counted = functools.partial(summary.add, smaller=smaller)
    started, cpu = time.perf_counter(), time.process_time()

    with (
        closing(_loaded(shots, stages, batch_size, summary)) as fresh,
        closing(batching.each(fresh, again, batch_size, stages.at_once, stop)) as begun,
        closing(_found(begun, stages, meter, counted)) as found,
    ):
        ahead_of_stage_3 = stages.at_once > 1 and stages.rerender is not None
        for number, batch in enumerate(found):
            if ahead_of_stage_3 and number and stop():
                break  # what was found while the batch before was drawn is found again
            ready = []
            for shot, attempt in batch:
                if _worth_another(shot, stages, attempt, retries):
                    again.append((_again(shot, run_seed, attempt + 1), attempt + 1))
                    summary.retried += 1
                    meter.more(BEFORE[1:], 1)
                else:
                    ready.append(shot.with_metrics(attempts=attempt + 1) if attempt else shot)
            batch.clear()
            part = Summary()
            last = _through("rerender", ready, stages, meter, part)
            counted(part)
            for shot in last:
                done = replace(shot, status="kept") if shot.status == "pending" else shot
                summary.count(done)
                summary.seconds = time.perf_counter() - started
                yield done
    summary.seconds = time.perf_counter() - started
    summary.cpu_seconds = time.process_time() - cpu


def _found(
    begun: Iterable[list[Try]],
    stages: Stages,
    meter: ProgressMeter,
    counted: Callable[[Summary], None],
) -> Generator[list[Try], None, None]:
    """The batches through the stages before a refused picture is drawn again, whole, in order."""

    def before(part: Part) -> Part:
        return part if part.alone else _before(part, stages, meter)

    parts, batch = batching.parts(begun, stages.at_once), list[Try]()
    with closing(cpu_parallel.stream(before, parts, stages.at_once)) as done:
        for part in done:
            if part.alone:
                part = _before(part, stages, meter)
            counted(part.summary)
            batch += part.tries
            if part.last:
                yield batch
                batch = []


def _before(part: Part, stages: Stages, meter: ProgressMeter) -> Part:
    """A part through the stages of BEFORE."""
    shots, attempts = [shot for shot, _ in part.tries], [attempt for _, attempt in part.tries]
    meter.done("load", attempts.count(0))
    for name in BEFORE[1:]:
        shots = _through(name, shots, stages, meter, part.summary)
    return replace(part, tries=list(zip(shots, attempts, strict=True)))


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

    with closing(prefetch(shots, one, depth=depth, weigh=pixels, most=MOST_PIXELS)) as ready:
        for shot in ready:
            spent = summary.per_stage.get("load", 0.0) + shot.seconds.get("load", 0.0)
            summary.per_stage["load"] = spent
            yield shot


def _through(
    name: str,
    batch: list[Shot],
    stages: Stages,
    meter: ProgressMeter,
    summary: Summary,
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
