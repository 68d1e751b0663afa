"""The options that say where a run is worked on, and the way to a Ray cluster."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import output

if TYPE_CHECKING:
    from ..inputs.resume import LazyShots
    from ..jobs.request import Job
    from ..runner.run import Stages, Summary
    from ..runs.folder import RunFolder

OPTIONS = ("engine", "address", "workers", "gpus_per_worker", "cpus_per_worker")
"""Their names; a run may go on with others, so run.yaml does not keep them."""
_DECORATORS = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        help="Where the pictures are worked on: this process (the default), or a Ray cluster.",
    ),
    click.option(
        "--address",
        metavar="WHERE",
        help="Ray: local, auto, HOST:6379, ray://HOST:10001. Default: RAY_ADDRESS, else local.",
    ),
    click.option("--workers", type=click.IntRange(1), help="Ray: processes with models in them."),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0),
        metavar="N",
        help="Ray: 0.5 puts two workers on a GPU. Default: 1 where there are GPUs.",
    ),
    click.option(
        "--cpus-per-worker",
        type=click.FloatRange(0, min_open=True),
        metavar="N",
        help="Ray: CPUs of a worker, and its threads. Default: up to 4.",
    ),
)


def engine_options(command: Any) -> Any:
    for option in reversed(_DECORATORS):
        command = option(command)
    return command


def check(options: dict[str, Any]) -> None:
    """Raises UsageError for options of Ray without it, EngineError for a bad address,
    ImportError where Ray is asked for and not installed."""
    if options.get("engine") == "ray":
        from importlib.util import find_spec

        from ..engines.ray_cluster import EngineError, place

        place(options.get("address"))
        gpus = options.get("gpus_per_worker") or 0.0
        if not math.isfinite(gpus + (options.get("cpus_per_worker") or 0.0)):
            raise EngineError("--gpus-per-worker, --cpus-per-worker: expected numbers")
        if find_spec("ray") is None:
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return
    for name in OPTIONS[1:]:
        if options.get(name) is not None:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option} says something of Ray: add --engine ray")


def on_ray(
    job: Job,
    shots: LazyShots,
    needs: tuple[str, ...],
    folder: RunFolder,
    start: Stages,
    finish: Callable[[dict[str, Any]], Any],
    stopper: Any,
    *,
    bars: output.StageProgress,
    summary: Summary,
    smaller: Callable[[str, int], None],
) -> None:
    """The shots through the workers of a cluster, their lines to `finish`; see `run_on_ray`."""
    from ..engines import ray_cluster
    from ..engines.ray_engine import run_on_ray
    from ..engines.ray_worker import WorkerSpec
    from ..runs.folder import WriteError
    from ..runs.lock import HOLDER
    from ..runs.object_store import text

    options, run = job.options, job.settings.run
    asked = ray_cluster.Pool(
        options.get("workers"), options.get("cpus_per_worker"), options.get("gpus_per_worker")
    )
    address = ray_cluster.place(options.get("address"))
    bars.say(f"connecting to Ray ({address})")
    with ray_cluster.connected(address, asked):
        import ray

        pool = ray_cluster.fit(ray.nodes(), asked, run.device, output.warn)
        place, files = folder.place, copy(folder.files)
        if isinstance(place, Path):
            files.path = place = place.absolute()
        holder = text(place, HOLDER)
        if holder is None:
            raise WriteError(f"{place}: its {HOLDER} was removed")
        plan = WorkerSpec(
            settings=job.settings.model_dump(mode="json"),
            needs=needs,
            folder=place,
            files=files,
            start=start,
            holder=holder,
            checkpoints=folder.checkpoints,
            batch_sizes=folder.batch_sizes,
            device=run.device if pool.gpus or run.device != "auto" else "cpu",
        )
        with stopper:
            run_on_ray(
                shots,
                plan,
                pool,
                batch_size=run.batch_size,
                finish=finish,
                give_up=folder.write,
                summary=summary,
                stop=stopper,
                progress=bars.update,
                smaller=smaller,
                say=bars.say,
                warn=output.warn,
            )
