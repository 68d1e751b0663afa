"""`visuals export`: writes the pictures that a run kept as a training set."""

from __future__ import annotations

import click

from .grouped_help import examples
from .options import apply, errors, on_a_disk
from .output import echo
from .progress import StageProgress


@click.command(
    epilog=examples(
        "visuals export runs/mugs",
        "visuals export runs/mugs --format imagefolder --tag ppzlook --out training",
    )
)
@click.argument("run", metavar="RUN")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["imagefolder", "kohya"]),
    default="kohya",
    show_default=True,
    help="Hugging Face imagefolder, or kohya's N_name folders.",
)
@click.option(
    "--out", metavar="DIR", callback=on_a_disk, help="Output folder. Default: RUN/export/FORMAT."
)
@click.option("--tag", default="", metavar="WORD", help="Activation tag before each caption.")
@click.option(
    "--repeats", type=click.IntRange(1), default=1, show_default=True, help="N of kohya's N_name."
)
@click.option("--name", default="", help="name of kohya's N_name. Default: the tag or the classes.")
@apply("json")
@errors
def export(
    run: str, kind: str, out: str | None, tag: str, repeats: int, name: str, as_json: bool
) -> None:
    """Write the pictures that RUN, a run folder, kept, as a training set."""
    from ..exports import training_set as exporting
    from ..runs.locate import on_disk
    from ..runs.object_store import is_url
    from . import output

    if is_url(run) and not out:
        raise click.UsageError(f"{run} without --out: expected a folder on a disk to write to")
    with on_disk(run, output.note) as place, StageProgress(as_json) as bars:
        done = exporting.export(
            place, kind, out=out, tag=tag, repeats=repeats, name=name, progress=bars.update
        )
    if as_json:
        record = {"folder": str(done.files[kind]), "pictures": done.pictures, "errors": done.errors}
        output.print_json(record)
        return
    for text in done.errors[:5]:
        output.warn(f"left out: {text}")
    echo(f"{done.pictures} pictures", err=True)
    echo(str(done.files[kind]))
