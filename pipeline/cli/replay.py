"""`visuals replay`: makes finished pictures again from their records and compares them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..runs.locate import on_disk
from ..runs.object_store import is_url
from . import output as show
from .options import apply, errors, on_a_disk, parse_overrides

if TYPE_CHECKING:
    from ..jobs.replays.replay import Replay


@click.command()
@click.argument("target", metavar="RUN|PICTURE")
@click.argument("shots", nargs=-1, metavar="[SHOT]...")
@click.option(
    "--photos",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="Where the photos of a PICTURE lie; may be repeated.",
)
@click.option(
    "--out",
    metavar="DIR",
    callback=on_a_disk,
    help="Folder of the new pictures. Default: runs/<time>.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    help="Another seed for the first shot; the next ones count up.",
)
@click.option(
    "--preset",
    default="mini",
    show_default=True,
    metavar="NAME",
    help="For a PICTURE that has A1111's parameters only: whose models draw it.",
)
@apply("device", "low_memory", "allow_pickle", "set", "json")
@errors
def replay(target: str, shots: tuple[str, ...], out: str | None, **options: Any) -> None:
    """Make the shots of a RUN again, or one PICTURE from what stands in its file.

    All shots that did not fail, or those of the ids SHOT, go into a new folder, and their pixels
    are compared with the old ones: exit code 1 where they are not equal. With --set or --seed the
    pictures are others, and nothing but that is said.
    """
    from ..jobs.replays.replay import replay as replay_shots
    from .output import TerminalReporter

    if shots and not is_url(target) and not Path(target).is_dir():
        raise click.UsageError(f"{shots[0]!r} after {target}: expected one picture, or RUN SHOT …")
    placement = {f"run.{k}": options[k] for k in ("device", "low_memory", "allow_pickle")}
    with on_disk(target, show.note) as place, TerminalReporter(options["as_json"]) as reporter:
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
    from ..runs.folder import NAME, to_json

    compared, place = done.compared, done.folder
    report = write_report(place)
    if as_json:
        shots = [
            {
                "id": one.id,
                "status": one.now,
                "equal": one.equal,
                "changed": one.changed,
                "largest": one.largest,
            }
            for one in compared
        ]
        record = {"folder": str(place), "manifest": str(place / NAME), "shots": shots}
        click.echo(to_json({**record, "equal": sum(one.equal for one in compared)}))
        return
    for one in compared:
        click.echo(f"{one.id}\t{one}")
    same = sum(one.equal for one in compared)
    why = "as asked" if done.changed else "another device or library rounds otherwise"
    rest = f"; the others are not ({why})" if same < len(compared) else ""
    click.echo(f"{same} of {len(compared)} are equal{rest}", err=True)
    click.echo(f"report    {report}")
