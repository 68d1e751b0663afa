"""Shots through the stages, in batches, streaming.

Knows the order of the stages, retries and progress; no files, no models, no terminal.
Every shot comes out once, in whatever state it reached. A picture that stage 1 made and
stage 2 refused is drawn again with another seed, up to `retries` times.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..stages.shot import Shot

Stage = Callable[[Sequence["Shot"]], "list[Shot]"]
BEFORE = ("load", "generate", "detect", "verify", "segment", "mask")
"""The stages before a refused picture is drawn again; `rerender` comes after."""
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


@dataclass
class Summary:
    """What became of the shots, counted as they pass."""

    made: int = 0
    enhanced: int = 0
    kept: int = 0
    failed: int = 0
    retried: int = 0
    resumed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    per_stage: dict[str, float] = field(default_factory=dict)
    changed_outside: int = 0

    @property
    def total(self) -> int:
        return self.enhanced + self.kept + self.failed + self.skipped.total()

    def count(self, shot: Shot) -> None:
        if shot.status == "skipped" and shot.reason:
            self.skipped[shot.reason.code] += 1
        elif shot.status == "failed" and shot.failure:
            self.failed += 1
            said = shot.failure
            where = "" if said.where == "load" else f"{said.where}: {said.kind}: "
            self.errors.append(f"{shot.id}: {where}{said.message}")
        elif shot.status == "enhanced":
            self.enhanced += 1
        else:
            self.kept += 1
        self.changed_outside += int(shot.metrics.get("changed_outside", 0))

    def as_dict(self) -> dict[str, object]:
        return {
            "total": self.total,
            "made": self.made,
            "enhanced": self.enhanced,
            "kept": self.kept,
            "skipped": dict(self.skipped),
            "failed": self.failed,
            "retried": self.retried,
            "resumed": self.resumed,
            "errors": self.errors,
            "changed_outside": self.changed_outside,
            "seconds": round(self.seconds, 3),
            "seconds_per_picture": round(self.seconds / max(self.total, 1), 3),
            "seconds_per_stage": {k: round(v, 3) for k, v in self.per_stage.items()},
        }


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
) -> Iterator[Shot]:
    """Yield every shot when it is finished, a batch at a time.

    Memory holds one batch, however many shots there are. `summary` is counted up on the way.
    """
    summary = summary if summary is not None else Summary()
    waiting = deque((shot, 0) for shot in shots)
    meter = _Meter(progress, stages, len(waiting))
    started = time.perf_counter()
    while waiting:
        taken = [waiting.popleft() for _ in range(min(batch_size, len(waiting)))]
        batch, attempts = [s for s, _ in taken], [a for _, a in taken]
        for name in BEFORE:
            batch = _through(name, batch, stages, meter, summary)
        ready = []
        for shot, attempt in zip(batch, attempts, strict=True):
            if _worth_another(shot, stages, attempt, retries):
                waiting.append((_again(shot, run_seed, attempt + 1), attempt + 1))
                summary.retried += 1
                meter.more(BEFORE[1:], 1)
            else:
                ready.append(shot.with_metrics(attempts=attempt + 1) if attempt else shot)
        for shot in _through("rerender", ready, stages, meter, summary):
            done = replace(shot, status="kept") if shot.status == "pending" else shot
            summary.count(done)
            summary.seconds = time.perf_counter() - started
            yield done
    summary.seconds = time.perf_counter() - started


def _through(
    name: str, batch: list[Shot], stages: Stages, meter: _Meter, summary: Summary
) -> list[Shot]:
    stage: Stage | None = getattr(stages, name)
    if stage is None or not batch:
        return batch
    todo = [k for k, shot in enumerate(batch) if shot.status == "pending"]
    size = getattr(stage, "batch_size", 0) or len(batch)
    out = list(batch)
    meter.passed(name, len(batch) - len(todo))
    for first in range(0, len(todo), size):
        part = todo[first : first + size]
        started = time.perf_counter()
        done = _guarded(name, stage, [batch[k] for k in part])
        seconds = time.perf_counter() - started
        summary.per_stage[name] = summary.per_stage.get(name, 0.0) + seconds
        for k, shot in zip(part, done, strict=True):
            out[k] = replace(shot, seconds={**shot.seconds, name: round(seconds / len(part), 4)})
        meter.done(name, len(part))
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
    fresh: Mapping[str, float] = {}
    return replace(
        shot,
        source=source,
        image=None,
        detections=(),
        control=None,
        blend=None,
        result=None,
        prompts=(),
        negative_prompts=(),
        status="pending",
        reason=None,
        failure=None,
        metrics=fresh,
        seconds=fresh,
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
