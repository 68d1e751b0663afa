"""Executes requests of the command line: prints progress and results, sets the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import output
from .options import ENGINE_OPTIONS, plain_overrides
from .output import echo
from .reporter import TerminalReporter
from .verbosity import Verbosity, log_event

if TYPE_CHECKING:
    from ..jobs.execute import RunResult
    from ..jobs.request import RunRequest
    from ..jobs.resolve import ResolvedRequest


def request_of(command: str, inputs: Sequence[str], options: dict[str, Any]) -> RunRequest:
    """Return the request of a command's options, which bear the names of its fields."""
    from ..jobs.engine_options import EngineOptions
    from ..jobs.request import RunRequest, edit_fields

    fields = {k: v for k, v in options.items() if v is not None and v != ()}
    engine = {name: fields.pop(name) for name in ENGINE_OPTIONS if name in fields}
    lists = [f"@{path}" for path in fields.pop("from_file", ())]
    for name in ("as_json", "dry_run", "yes", "open_report"):
        fields.pop(name, None)
    fields |= edit_fields(fields.pop("edits", ()))
    if "changes" in fields:
        fields["overrides"] = plain_overrides(fields.pop("changes"))
    return RunRequest(
        command=command, inputs=(*inputs, *lists), engine=EngineOptions(**engine), **fields
    )


def execute(command: str, inputs: Sequence[str], options: dict[str, Any]) -> None:
    """Execute a command's request, or show what it would do with --dry-run."""
    from ..jobs.resolve import resolve

    verbosity = Verbosity.pop_from(options)
    with TerminalReporter(options["as_json"], yes=options["yes"], verbosity=verbosity) as reporter:
        resolved = resolve(request_of(command, inputs, options), reporter)
        finish(resolved, reporter, dry=options["dry_run"], open_report=options["open_report"])


def finish(
    resolved: ResolvedRequest,
    reporter: TerminalReporter,
    *,
    dry: bool = False,
    open_report: bool = False,
) -> None:
    """Execute a resolved request; exit 1 for nothing but failures, 130 where it was stopped.

    With `open_report` the report is opened in the browser at the end.
    """
    from ..build.process import fast_start
    from ..jobs.execute import execute as execute_request

    if dry:
        from .dry_run import show

        show(resolved, reporter)
        return
    with fast_start(resolved.settings.run):
        result = execute_request(resolved, reporter, reporter.stop)
    reporter.close()
    if result.stopped:
        output.warn(f"stopped; {result.resume_hint}")
        raise SystemExit(reporter.stop.code or 130)
    _print_result(result, reporter)
    if open_report and "://" not in str(result.report):
        import webbrowser

        webbrowser.open(Path(result.report).resolve().as_uri())
    if result.failed:
        raise SystemExit(1)


def _print_result(result: RunResult, reporter: TerminalReporter) -> None:
    from ..exports import cutouts
    from ..runs.manifest import NAME

    written = result.annotations
    if reporter.verbosity.log_json:
        log_event("finished", {"event": "finished", **result.summary.as_dict()})
    if reporter.as_json:
        record = {
            "folder": str(result.folder),
            "report": result.report,
            "manifest": f"{result.folder}/{NAME}",
            "pictures": result.pictures,
            **result.summary.as_dict(),
        }
        if written is not None:
            record["annotations"] = {k: str(path) for k, path in written.files.items()}
            record["annotation_errors"] = written.errors
        output.print_json(record)
        return
    if not (reporter.verbosity.quiet or reporter.verbosity.log_json):
        output.closing(result.summary)
    echo(f"pictures  {result.folder}/images")
    if isinstance(result.folder, Path) and (result.folder / cutouts.FOLDER).is_dir():
        echo(f"cutouts   {result.folder / cutouts.FOLDER}")
    if written is not None:
        output.annotated(written)
    echo(f"report    {result.report}")
