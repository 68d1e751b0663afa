"""What a command would do, for --dry-run: each picture, models to download, memory and time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import output
from .output import echo

if TYPE_CHECKING:
    from ..diagnostics.run_estimate import RunEstimate
    from ..jobs.resolve import ResolvedRequest
    from .reporter import TerminalReporter


def show(resolved: ResolvedRequest, reporter: TerminalReporter) -> None:
    """Print what a request would do, as JSON where the reporter prints that."""
    from ..diagnostics.run_estimate import estimate
    from ..jobs.dry_run import LISTED, dry_run

    dry = dry_run(resolved, reporter)
    bad, work = 0, dry.more_to_do
    shots = []
    for number, shot in enumerate(dry.shots):
        bad += bool(shot["problem"])
        work += bool(shot["stages"])
        if number >= LISTED and not shot["problem"]:
            continue
        if reporter.as_json:
            shots.append(shot)
        else:
            echo(_line(shot))
    request = resolved.request
    local = request.engine.engine == "local"
    needs = [stage for stage in dry.stages if stage != "mask"] if work and local else []
    found = (
        estimate(resolved.settings, needs, work, Path(dry.folder), request.inputs)
        if needs
        else None
    )
    if reporter.as_json:
        record = {"folder": dry.folder, "stages": dry.stages, "pictures": dry.pictures}
        record |= {"to_do": work, "problems": bad, "estimate": found and vars(found)}
        output.print_json({**record, "shots": shots})
        return
    if dry.pictures > LISTED:
        echo(f"… {dry.pictures:,} pictures in all", err=True)
    echo(f"{work:,} to do, {bad:,} that would fail or be skipped; into {dry.folder}", err=True)
    for name, text in _lines(found, work) if found else ():
        echo(f"{name:<10}{text}", err=True)


def _line(shot: dict[str, Any]) -> str:
    from ..images.read import printable

    size = "×".join(map(str, shot["size_wh"])) if shot["size_wh"] else "-"
    outcome = shot["problem"] or ", ".join(shot["stages"]) or "nothing: done before"
    return f"{printable(shot['id'])}\t{size}\t{printable(outcome)}"


def _lines(found: RunEstimate, pictures: int) -> list[tuple[str, str]]:
    from ...checkpoints.hub.pull import format_bytes
    from ..runner.summary import duration

    sizes = [size for size in found.missing.values() if size is not None]
    models = [
        f"{name}, {'size not known' if size is None else format_bytes(size)}"
        for name, size in found.missing.items()
    ]
    lines = [("models", "; ".join(models) or "all are here")]
    if len(sizes) > 1:
        lines.append(("download", f"{format_bytes(sum(sizes))} in all"))
    memory = "little: embedded models" if found.embedded else "not known"
    if found.memory_gib:
        gpu, cpu = f"{found.memory_gib:g} GiB", f"{found.cpu_gib:g} GiB"
        memory = f"{gpu} on a GPU, {cpu} on a CPU; visuals doctor: what fits"
    lines.append(("memory", memory))
    if found.seconds is None:
        why = "no run beside it has these stages, models and steps, and such pictures"
        lines.append(("time", f"not known: {why}"))
    else:
        each = found.seconds / pictures
        lines.append(
            ("time", f"{duration(found.seconds)}, {each:.2g} s a picture as in {found.like}")
        )
    return lines
