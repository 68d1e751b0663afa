"""Runs the shots of a plan on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .reporter import Reporter

if TYPE_CHECKING:
    from ..runner.summary import Summary
    from ..runs.folder import RunFolder
    from ..runs.manifest import ManifestRecord
    from .plan import ShotPlan


def run_on_cluster(
    plan: ShotPlan,
    folder: RunFolder,
    summary: Summary,
    reporter: Reporter,
    stop: Callable[[], bool],
    *,
    finish: Callable[[ManifestRecord], Any],
    smaller: Callable[[str, int], None],
) -> None:
    """Send the shots through the workers of a cluster; see `run_on_ray`.

    Args:
        plan: the shots and the stages they go through.
        folder: the run folder, which the workers write pictures to.
        summary: is counted up.
        reporter: receives warnings and progress.
        stop: is asked before more is handed out.
        finish: receives the manifest record of each finished shot.
        smaller: receives stage and batch size where a batch was too large for the memory.
    """
    from ..build.required_models import required_models
    from ..engines import ray_cluster
    from ..engines.ray_engine import run_on_ray
    from ..engines.ray_worker import WorkerSpec
    from ..runs.folder import WriteError, writing
    from ..runs.lock import HOLDER
    from ..runs.object_store import text

    settings, engine = plan.resolved.settings, plan.resolved.request.engine
    run = settings.run
    wanted = ray_cluster.Pool(engine.workers, engine.cpus_per_worker, engine.gpus_per_worker)
    address = ray_cluster.place(engine.address)
    if address == "local":  # elsewhere the nodes download for themselves
        reporter.download(required_models(settings, plan.needs))
    reporter.status(f"connecting to Ray ({address})")
    with ray_cluster.connected(address, wanted):
        import ray

        pool = ray_cluster.fit(ray.nodes(), wanted, run.device, reporter.warn)
        place, files = folder.place, copy(folder.files)
        if isinstance(place, Path):
            files.path = place = place.absolute()
        with writing(place):
            holder = text(place, HOLDER)
        if holder is None:
            raise WriteError(f"{place}: its {HOLDER} was removed")
        spec = WorkerSpec(
            settings=settings.model_dump(mode="json"),
            needs=plan.needs,
            folder=place,
            files=files,
            start=plan.start,
            holder=holder,
            checkpoints=folder.checkpoints,
            batch_sizes=folder.batch_sizes,
            device=run.device if pool.gpus or run.device != "auto" else "cpu",
        )
        with reporter.running(folder, may_abandon=False):
            run_on_ray(
                plan.shots,
                spec,
                pool,
                batch_size=run.batch_size,
                finish=finish,
                give_up=folder.write,
                summary=summary,
                stop=stop,
                progress=reporter.progress,
                smaller=smaller,
                say=reporter.status,
                warn=reporter.warn,
            )
