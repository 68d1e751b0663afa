"""`visuals export`: the pictures that a run kept, as the data set of a training."""

from __future__ import annotations

import json

import click

from .options import apply, errors, on_a_disk


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["imagefolder", "kohya"]),
    default="kohya",
    show_default=True,
    help="A 🤗 imagefolder, or kohya's N_name folders.",
)
@click.option(
    "--out", metavar="DIR", callback=on_a_disk, help="Where to write. Default: RUN/export/FORMAT."
)
@click.option("--tag", default="", metavar="WORD", help="Activation tag before each caption.")
@click.option(
    "--repeats", type=click.IntRange(1), default=1, show_default=True, help="N of kohya's N_name."
)
@click.option("--name", default="", help="Name of kohya's N_name. Default: the tag or the classes.")
@apply("json")
@errors
def export(
    run: str, kind: str, out: str | None, tag: str, repeats: int, name: str, as_json: bool
) -> None:
    """Write the pictures that RUN, a run folder, kept, with captions and masks."""
    from ..exports import training_set as exporting
    from ..runs.locate import on_disk
    from ..runs.object_store import is_url
    from . import output

    if is_url(run) and not out:
        raise click.UsageError(f"{run} without --out: expected a folder on a disk to write to")
    with on_disk(run, output.note) as place, output.StageProgress(as_json) as bars:
        done = exporting.export(
            place, kind, out=out, tag=tag, repeats=repeats, name=name, progress=bars.update
        )
    if as_json:
        record = {"folder": str(done.folder), "pictures": done.pictures, "errors": done.errors}
        click.echo(json.dumps(record, ensure_ascii=False))
        return
    for text in done.errors[:5]:
        output.warn(f"left out: {text}")
    click.echo(f"{done.pictures} pictures", err=True)
    click.echo(str(done.folder))
