"""Runs shots on the workers of a Ray cluster.

The driver sends file names and receives manifest records; workers read and write the pictures.
Each shot is returned exactly once, even if workers die.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.errors import VisualsError
from ..runner.run import Progress
from ..runner.summary import Summary
from .actor_pool import MAX_DEATHS, ActorPool, Finished, Lost, Tell
from .ray_cluster import Pool
from .ray_worker import WorkerReport, WorkerSpec
from .work_queue import DEATHS, WorkQueue

if TYPE_CHECKING:
    from ...stages.shot import Shot
    from ..runs.manifest import ManifestRecord

SLOW_START = 60.0


class WorkerDiedError(VisualsError):
    """A picture with which several workers died."""


def run_on_ray(
    shots: Sequence[Shot],
    plan: WorkerSpec,
    pool: Pool,
    *,
    batch_size: int,
    finish: Callable[[ManifestRecord], Any],
    give_up: Callable[[Shot], ManifestRecord],
    summary: Summary,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
    smaller: Callable[[str, int], None] | None = None,
    say: Tell = lambda text: None,
    warn: Tell = lambda text: None,
    max_deaths: int = MAX_DEATHS,
) -> None:
    """Run all shots, in shares of `batch_size`; Ray is connected.

    A worker that dies is replaced, and its shots are tried again one by one; a shot with which
    three workers died fails.

    Args:
        shots: the shots.
        plan: what each worker needs to know.
        pool: the number of workers and their size.
        batch_size: shots of a share.
        finish: receives each record as it arrives.
        give_up: makes the record of a shot that is not tried again.
        summary: is counted up.
        stop: once it returns true, nothing more is handed out.
        progress: receives the counts of "shots".
        smaller: as in `run_shots`.
        say: receives the state of the cluster.
        warn: receives deaths and delays.
        max_deaths: workers that may die in a row without a finished picture.

    Raises:
        WriteError: a worker cannot write.
        ClusterError: too many workers died.
    """
    from ..runs.folder import sweep

    shares = WorkQueue(shots, batch_size)
    began = time.perf_counter()
    say(f"starting {min(pool.workers or 1, shares.count)} workers on Ray")
    workers = ActorPool(plan, pool, say=say, warn=warn, max_deaths=max_deaths)
    waits_since: float | None = time.monotonic()
    try:
        while workers.busy or (len(shares) and not stop()):
            if not stop():
                workers.fill(workers.engaged + shares.count)
                workers.hand_out(lambda idle: shares.take(idle=idle), shares.suspect)
            for event in workers.wait():
                if isinstance(event, Finished):
                    _take(event.report, finish, summary, smaller)
                else:
                    _hand_back(event, shares, give_up, finish, summary, warn)
                if progress and summary.total:
                    progress("shots", summary.total, len(shots))
            if workers.busy:
                waits_since = None
            elif waits_since and time.monotonic() - waits_since > SLOW_START:
                waits_since = None
                warn(
                    "no worker is ready yet: models are loading, or the cluster has no room; "
                    "`ray status` on its head shows what is waiting"
                )
    finally:
        workers.stop_all()
    if workers.deaths and isinstance(plan.folder, Path):
        sweep(plan.folder)
    summary.seconds = time.perf_counter() - began


def _take(
    report: WorkerReport,
    finish: Callable[[ManifestRecord], Any],
    summary: Summary,
    smaller: Callable[[str, int], None] | None,
) -> None:
    for record in report.records:
        finish(record)
    summary.add(report.summary, smaller)


def _hand_back(
    event: Lost,
    shares: WorkQueue,
    give_up: Callable[[Shot], ManifestRecord],
    finish: Callable[[ManifestRecord], Any],
    summary: Summary,
    warn: Tell,
) -> None:
    lost = shares.lost(event.shots)
    again = len(event.shots) - len(lost)
    if again:
        them = "picture is" if again == 1 else "pictures are"
        warn(f"a worker died {event.why}; its {again} {them} tried again")
    for shot in lost:
        why = WorkerDiedError(
            f"{DEATHS} workers died while working on this picture, the last {event.why}; try it "
            "with --retry-failed and --engine local, or leave it out"
        )
        failed = _identified(shot).fail(why, "worker")
        finish(give_up(failed))
        summary.count(failed)


def _identified(shot: Shot) -> Shot:
    """Return a photo's shot with the hash of its file, by which a resumed run knows it."""
    from ..inputs import resume

    source: Any = shot.source
    if not hasattr(source, "path"):
        return shot
    try:
        return replace(shot, source=replace(source, content=resume.content(source.path)))
    except OSError:
        return shot
