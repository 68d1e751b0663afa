"""Runs shots through the stages, in batches, as a stream.

Every shot comes out once, in whatever state it reached. Files are read ahead, in threads. A
picture that stage 1 made and stage 2 rejected is drawn again with another seed, up to `retries`
times.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...stages.accel import cpu_parallel
from ...stages.shot import Shot, shot_seed
from . import shot_batches
from .io_threads import prefetch
from .progress_meter import Progress as Progress
from .progress_meter import ProgressMeter
from .shot_batches import MOST_PIXELS, Part, Try, bare, pixels
from .summary import Summary as Summary

if TYPE_CHECKING:
    from ...stages.stage import Stage

Load = Callable[[Sequence[Shot]], list[Shot]]
BEFORE = ("load", "generate", "detect", "verify", "segment", "mask")
"""The stages before a rejected picture is drawn again; `rerender` comes after."""


@dataclass(frozen=True)
class Stages:
    """The stages of a run, in their order; None leaves one out.

    `load` reads the files of photos, a shot at a time, in threads. `parallel_parts`: parts of
    batches that go through the stages before `rerender` at the same time, each with a thread and a
    core; these stages must be thread-safe.
    """

    load: Load | None = None
    generate: Stage | None = None
    detect: Stage | None = None
    verify: Stage | None = None
    segment: Stage | None = None
    mask: Stage | None = None
    rerender: Stage | None = None
    parallel_parts: int = 1


def fitted(stages: Stages, sizes: Mapping[str, int]) -> Stages:
    """The stages at the batch sizes that fitted into memory before, by name; where one of them is
    1, no parts run in parallel."""
    for name, size in sizes.items():
        stage: Stage | None = getattr(stages, name, None)
        if stage is not None:
            stage.batch_size = min(stage.batch_size, size)
    return replace(stages, parallel_parts=1) if 1 in sizes.values() else stages


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
    `batch_size` pictures or about MOST_PIXELS, however many shots there are.

    Args:
        shots: any number; a sequence gives `progress` its totals.
        stages: what they go through.
        run_seed: seeds of later attempts are made from it, the shot's id and the attempt.
        retries: how often a rejected picture is drawn again.
        batch_size: shots in memory at a time.
        progress: called with stage name, shots done, shots expected.
        summary: counted up on the way.
        stop: called before each batch; once it returns true no more are begun.
        smaller: called with stage and batch size where a batch was too large for the memory.
    """
    summary = summary if summary is not None else Summary()
    names = [name for name in (*BEFORE, "rerender") if getattr(stages, name) is not None]
    meter = ProgressMeter(progress, names, len(shots) if isinstance(shots, Sized) else 0)
    again: deque[Try] = deque()
    counted = functools.partial(summary.add, smaller=smaller)
    started, cpu = time.perf_counter(), time.process_time()

    with (
        closing(_loaded(shots, stages, batch_size, summary)) as fresh,
        closing(shot_batches.each(fresh, again, batch_size, stages.parallel_parts, stop)) as begun,
        closing(_found(begun, stages, meter, counted)) as found,
    ):
        runs_ahead = stages.parallel_parts > 1 and stages.rerender is not None
        for number, batch in enumerate(found):
            if runs_ahead and number and stop():
                break  # stage 2 ran ahead of stage 3: a resumed run repeats it
            ready = []
            for shot, attempt in batch:
                if _is_drawn_again(shot, stages, attempt, retries):
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
    """Whole batches, in order, after the stages of BEFORE."""

    def before(part: Part) -> Part:
        return part if part.alone else _before(part, stages, meter)

    parts, batch = shot_batches.parts(begun, stages.parallel_parts), list[Try]()
    with closing(cpu_parallel.stream(before, parts, stages.parallel_parts)) as done:
        for part in done:
            if part.alone:
                part = _before(part, stages, meter)
            counted(part.summary)
            batch += part.tries
            if part.last:
                yield batch
                batch = []


def _before(part: Part, stages: Stages, meter: ProgressMeter) -> Part:
    """A part after the stages of BEFORE."""
    shots, attempts = [shot for shot, _ in part.tries], [attempt for _, attempt in part.tries]
    meter.done("load", attempts.count(0))
    for name in BEFORE[1:]:
        shots = _through(name, shots, stages, meter, part.summary)
    return replace(part, tries=list(zip(shots, attempts, strict=True)))


def load_one(load: Load, shot: Shot) -> Shot:
    """The shot with the pixels of its file, and the seconds that this took."""
    if not shot.open:
        return shot
    started = time.perf_counter()
    (done,) = _guarded("load", load, [shot])
    seconds = round(time.perf_counter() - started, 4)
    return replace(done, seconds={**done.seconds, "load": seconds})


def _loaded(
    shots: Iterable[Shot], stages: Stages, depth: int, summary: Summary
) -> Generator[Shot, None, None]:
    """The shots with the pixels of their files, which threads read ahead."""
    load = stages.load
    if load is None:
        yield from shots
        return

    one = functools.partial(load_one, load)
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
        size = stage.batch_size
        # stage 3 puts windows of the whole batch into calls of its `batch_size`
        part = todo[first:] if name == "rerender" else todo[first : first + size]
        first += len(part)
        started = time.perf_counter()
        done = _guarded(name, stage, [batch[k] for k in part])
        seconds = time.perf_counter() - started
        summary.per_stage[name] = summary.per_stage.get(name, 0.0) + seconds
        for k, shot in zip(part, done, strict=True):
            out[k] = replace(shot, seconds={**shot.seconds, name: round(seconds / len(part), 4)})
        meter.done(name, len(part))
        if stage.batch_size < size:
            summary.batch_sizes[name] = stage.batch_size
    if name == "generate":
        summary.made += sum(out[k].image is not None for k in todo)
    return out


def _guarded(name: str, stage: Load | Stage, shots: list[Shot]) -> list[Shot]:
    """A stage fails single shots itself; should it raise all the same, all of these fail."""
    try:
        return stage(shots)
    except Exception as error:
        return [shot.fail(error, name) for shot in shots]


def _is_drawn_again(shot: Shot, stages: Stages, attempt: int, retries: int) -> bool:
    drawn = stages.generate is not None and shot.prompt is not None
    return drawn and shot.status == "skipped" and attempt < retries


def _again(shot: Shot, run_seed: int, attempt: int) -> Shot:
    """The shot as it began, with the seed of its next attempt."""
    source = replace(shot.source, seed=shot_seed(run_seed, shot.id, attempt))
    return replace(bare(shot), source=source)
