"""`visuals resume`: continues a run as its run.yaml describes it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import click

from .grouped_help import examples
from .options import ENGINE_OPTIONS, apply, errors


@click.command(
    epilog=examples("visuals resume runs/mugs", "visuals resume runs/mugs --retry-failed")
)
@click.argument("folder", metavar="RUN")
@click.argument("inputs", nargs=-1, metavar="[PHOTOS]...")
@apply(
    "retry_failed",
    "batch_size",
    "low_memory",
    "allow_pickle",
    "yes",
    "dry_run",
    "json",
    *ENGINE_OPTIONS,
)
@errors
def resume(folder: str, inputs: tuple[str, ...], **options: Any) -> None:
    """Resume a run that was stopped, killed, or ran out of disk space.

    Pictures in its manifest.jsonl are kept. The settings are those of its run.yaml. PHOTOS: the
    new place of its photos, if they moved. Without --engine ray the run continues in this
    process, wherever it began.
    """
    from ...configs.schema import check, merge
    from ..jobs.engine_options import EngineOptions
    from ..jobs.resolve import absolute, check_engine, recorded_request
    from ..runs import run_yaml
    from ..runs.locate import run_place
    from ..runs.object_store import is_url, read
    from .execute import finish
    from .reporter import TerminalReporter

    engine = EngineOptions(**{k: options[k] for k in ENGINE_OPTIONS if options[k] is not None})
    check_engine(engine)
    place = run_place(folder if is_url(folder) else os.path.abspath(folder))
    record = read(place)
    if not record:
        raise run_yaml.RunFolderError(
            f"{folder} is no run folder: expected {run_yaml.NAME} in it; "
            "name a folder that `visuals run` wrote"
        )
    resolved = recorded_request(record, place, [absolute(name) for name in inputs])
    size = options["batch_size"]
    changes: dict[str, Any] = {"run": {"low_memory": True}} if options["low_memory"] else {}
    if options["allow_pickle"]:
        changes.setdefault("run", {})["allow_pickle"] = True
    if size is not None:
        for section in ("generate", "detect", "segment", "rerender", "run"):
            changes.setdefault(section, {})["batch_size"] = size
    request = resolved.request.model_copy(
        update={"engine": engine, "retry_failed": options["retry_failed"], "batch_size": size}
    )
    values = merge(resolved.settings.model_dump(mode="json"), changes)
    with (
        run_yaml.where_begun(record),
        TerminalReporter(options["as_json"], yes=options["yes"]) as reporter,
    ):
        resolved = replace(resolved, request=request, settings=check(values))
        finish(resolved, reporter, dry=options["dry_run"])
