"""`visuals resume`: a run folder gone on with, as its run.yaml says."""

from __future__ import annotations

import os
from typing import Any

import click

from .options import apply, errors
from .ray_options import check, engine_options


@click.command()
@click.argument("folder", metavar="RUN")
@click.argument("inputs", nargs=-1, metavar="[PHOTOS]...")
@apply("retry_failed", "batch_size", "low_memory", "dry_run", "json")
@engine_options
@errors
def resume(folder: str, inputs: tuple[str, ...], **options: Any) -> None:
    """Go on with a run that was stopped, killed, or ran out of disk.

    What its manifest.jsonl holds is done and is not made again. The settings are those of its
    run.yaml. PHOTOS: where its photos lie now, if they moved. Without --engine ray it goes on
    in this process, wherever it began.
    """
    from ..jobs import dry_run
    from ..jobs.execute import carry_out
    from ..jobs.request import absolute, job_of
    from ..runs import run_yaml
    from ..runs.object_store import is_url, read

    check(options)
    place = dry_run.place(folder if is_url(folder) else os.path.abspath(folder))
    record = read(place)
    if not record:
        raise run_yaml.RunFolderError(
            f"{folder} is no run folder: expected {run_yaml.NAME} in it; "
            "name the folder that `visuals run` wrote"
        )
    job = job_of(record, place, [absolute(given) for given in inputs])
    if options["batch_size"] is None:
        del options["batch_size"]
        job.options.pop("batch_size", None)
    else:
        sections = ("generate", "detect", "segment", "rerender", "run")
        sizes = {name: {"batch_size": options["batch_size"]} for name in sections}
        job = _with(job, sizes)
    if options.pop("low_memory"):
        job = _with(job, {"run": {"low_memory": True}})
    job.options.update(options)
    began = record.get("began_in")
    if began and os.path.isdir(began):
        os.chdir(began)  # relative paths in lists and settings mean what they meant
    carry_out(job)


def _with(job: Any, changes: dict[str, Any]) -> Any:
    from dataclasses import replace

    from ...configs.schema import check, merge

    values = merge(job.settings.model_dump(mode="json"), changes)
    return replace(job, settings=check(values))
