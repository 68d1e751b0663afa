"""A run's shots through the workers of a Ray cluster.

The driver hands out names and gets back lines; pictures go from disk to worker to disk. Every
shot comes back once, whatever dies on the way. Knows no terminal.
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
from .actor_pool import BARREN, ActorPool, Finished, Lost, Tell
from .ray_cluster import Pool
from .ray_worker import WorkerReport, WorkerSpec
from .work_queue import DEATHS, WorkQueue

if TYPE_CHECKING:
    from ...stages.shot import Shot
    from ..runs.manifest import ManifestRecord

SLOW_START = 60.0


class WorkerDiedError(VisualsError):
    """A picture that was in hand each time that a worker died."""


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
    barren: int = BARREN,
) -> None:
    """All shots, in shares of `batch_size`; each line is given to `finish` as it comes.

    Ray is connected (see cluster). In flight are two shares a worker. A worker that dies is
    replaced, and its pictures are handed out again, one by one; a picture that three died with
    fails: `give_up` makes its line. Once `stop` is true nothing more is handed out.
    `progress` is told of "shots". The rest is as in `run_shots`. Raises WriteError where a
    worker's disk takes no more, ClusterError where `barren` workers in a row die.
    """
    from ..runs.folder import sweep

    shares = WorkQueue(shots, batch_size)
    began = time.perf_counter()
    say(f"starting {min(pool.workers or 1, shares.count)} workers on Ray")
    crew = ActorPool(plan, pool, say=say, warn=warn, barren=barren)
    waits_since: float | None = time.monotonic()
    try:
        while crew.busy or (len(shares) and not stop()):
            if not stop():
                crew.fill(crew.engaged + shares.count)
                crew.hand_out(lambda idle: shares.take(idle=idle), shares.suspect)
            for event in crew.wait():
                if isinstance(event, Finished):
                    _take(event.report, finish, summary, smaller)
                else:
                    _hand_back(event, shares, give_up, finish, summary, warn)
                if progress and summary.total:
                    progress("shots", summary.total, len(shots))
            if crew.busy:
                waits_since = None
            elif waits_since and time.monotonic() - waits_since > SLOW_START:
                waits_since = None
                warn(
                    "no worker is ready yet: models load, or the cluster has no room; "
                    "`ray status` on its first machine shows what waits"
                )
    finally:
        crew.dismiss()
    if crew.deaths and isinstance(plan.folder, Path):
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
            f"{DEATHS} workers died with this picture in hand, the last {event.why}; try it "
            "with --retry-failed on this machine alone, or leave it out"
        )
        failed = _identified(shot).fail(why, "worker")
        finish(give_up(failed))
        summary.count(failed)


def _identified(shot: Shot) -> Shot:
    """With what tells the file's bytes from others', so that the line is known to be its."""
    from ..inputs import resume

    source: Any = shot.source
    if not hasattr(source, "path"):
        return shot
    try:
        return replace(shot, source=replace(source, content=resume.content(source.path)))
    except OSError:
        return shot
