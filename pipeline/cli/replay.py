"""`visuals replay`: makes finished pictures again from their records and compares them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...configs.errors import writable
from ..runs.locate import on_disk
from ..runs.object_store import is_url
from . import output as show
from .grouped_help import examples
from .options import apply, errors, on_a_disk, parse_overrides
from .output import echo

if TYPE_CHECKING:
    from ..jobs.replays.replay import Replay


@click.command(
    epilog=examples(
        "visuals replay runs/mugs", "visuals replay runs/mugs/images/mug-0001.png --seed 7"
    )
)
@click.argument("target", metavar="RUN|PICTURE")
@click.argument("shots", nargs=-1, metavar="[SHOT]...")
@click.option(
    "--photos",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="File or folder with the photos of a PICTURE; repeatable.",
)
@click.option(
    "--out",
    metavar="DIR",
    callback=on_a_disk,
    help="Folder for the new pictures. Default: runs/TIME-replay.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    help="New seed of the first shot; the following ones count up.",
)
@click.option(
    "--preset",
    default="mini",
    show_default=True,
    metavar="NAME",
    help="Models for a PICTURE that holds only A1111's parameters.",
)
@apply("device", "low_memory", "allow_pickle", "yes", "set", "json")
@errors
def replay(target: str, shots: tuple[str, ...], out: str | None, **options: Any) -> None:
    """Reproduce the shots of a RUN, or one PICTURE from the metadata in its file.

    The new pictures of all shots that did not fail, or of those with the ids SHOT, are compared
    with the old ones pixel by pixel; the exit code is 1 if any differ. With --set or --seed they
    are meant to differ.
    """
    from ..jobs.replays.replay import replay as replay_shots
    from .reporter import TerminalReporter

    if shots and not is_url(target) and not Path(target).is_dir():
        raise click.UsageError(f"{shots[0]!r} after {target}: expected one picture, or RUN SHOT …")
    placement = {f"run.{k}": options[k] for k in ("device", "low_memory", "allow_pickle")}
    with (
        on_disk(target, show.note) as place,
        TerminalReporter(options["as_json"], yes=options["yes"]) as reporter,
    ):
        done = replay_shots(
            place,
            shots,
            origin=target,
            photos=options["photos"],
            preset=options["preset"],
            overrides=parse_overrides(options["changes"]),
            placement={key: value for key, value in placement.items() if value},
            seed=options["seed"],
            out=out,
            reporter=reporter,
        )
    _print(done, options["as_json"])
    if not done.changed and not done.equal:
        raise SystemExit(1)


def _print(done: Replay, as_json: bool) -> None:
    from ..reports.html import write_report
    from ..runs.manifest import NAME

    compared, place = done.compared, done.folder
    with writable(place):
        report = write_report(place)
    if as_json:
        shots = [
            {
                "id": one.id,
                "status": one.now,
                "equal": one.equal,
                "changed": one.changed,
                "largest": one.largest,
                "reason": one.reason,
            }
            for one in compared
        ]
        record = {"folder": str(place), "manifest": str(place / NAME), "shots": shots}
        show.print_json({**record, "equal": sum(one.equal for one in compared)})
        return
    for one in compared:
        echo(f"{one.id}\t{one}")
    same = sum(one.equal for one in compared)
    why = (
        "as asked"
        if done.changed
        else "another device or library rounds otherwise; see also the warnings"
    )
    differ = sum(bool(one.changed) and one.was == one.now for one in compared)
    others = len(compared) - same - differ
    parts = [
        f"{same} of {len(compared)} are equal",
        f"{differ} differ ({why})" if differ else "",
        f"{others} came out otherwise: the reasons are above" if others else "",
    ]
    echo("; ".join(filter(None, parts)), err=True)
    echo(f"report    {report}")
