"""`visuals annotate`: annotations of an existing run folder."""

from __future__ import annotations

from typing import Any

import click

from .grouped_help import examples
from .options import apply, errors, on_a_disk
from .output import echo
from .progress import StageProgress


@click.command(
    epilog=examples(
        "visuals annotate runs/mugs --format coco,yolo",
        "visuals annotate runs/mugs --format masks --out labels",
    )
)
@click.argument("run", metavar="RUN")
@apply("annotation_format")
@click.option(
    "--out", metavar="DIR", callback=on_a_disk, help="Output folder. Default: RUN/annotations."
)
@click.option("--polygons", is_flag=True, help="Write COCO polygons instead of RLE.")
@click.option(
    "--include-skipped", is_flag=True, help="Include skipped pictures, without instances."
)
@apply("json")
@errors
def annotate(run: str, formats: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Write annotations of the pictures that RUN, a run folder, kept.

    Re-rendered pictures are annotated if there are any, otherwise the sources.
    """
    from ..exports import annotate as annotations
    from ..runs.locate import on_disk
    from ..runs.object_store import is_url
    from . import output

    if is_url(run) and not options["out"]:
        raise click.UsageError(f"{run} without --out: expected a folder on a disk to write to")
    with on_disk(run, output.note) as place, StageProgress(as_json) as bars:
        done = annotations.annotate(place, formats, progress=bars.update, **options)
    if as_json:
        record = {
            "folder": run,
            "annotations": {name: str(path) for name, path in done.files.items()},
            "pictures": done.pictures,
            "instances": done.instances,
            "annotation_errors": done.errors,
        }
        output.print_json(record)
    else:
        output.annotated(done)
        echo(f"{done.pictures} pictures, {done.instances} instances", err=True)
    if done.errors and not done.pictures:
        raise SystemExit(1)
