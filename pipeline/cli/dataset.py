"""`visuals dataset`: import product photos as a training set, caption and check it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from . import options
from .dataset_caption import caption, token_counter
from .grouped_help import examples
from .output import print_json
from .progress import StageProgress


@click.group()
def dataset() -> None:
    """Prepare a training set: import, caption, check."""


dataset.add_command(caption)


@dataset.command(
    "import",
    epilog=examples(
        "visuals dataset import products.csv --images pictures --out catalogue",
        "visuals dataset import products.json --images pictures --out small --max-side 512",
    ),
)
@click.argument("catalogue")
@click.option("--images", required=True, metavar="DIR", help="Folder of its pictures.")
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    callback=options.on_a_disk,
    help="Folder for the training set.",
)
@click.option("--field-sku", metavar="NAME", help="Field of the SKU. Default: guessed.")
@click.option(
    "--field-image", metavar="NAME", help="Field of the pictures; a.b: nested. Default: guessed."
)
@click.option(
    "--field-text", metavar="NAME", help="Field of the text, as in title. Default: guessed."
)
@click.option(
    "--max-side",
    type=click.IntRange(0),
    default=1024,
    show_default=True,
    help="Longest side in pixels; 0: keep.",
)
@click.option(
    "--min-side",
    type=click.IntRange(0),
    default=256,
    show_default=True,
    help="Skip pictures with a shorter side.",
)
@click.option(
    "--format",
    type=click.Choice(["jpg", "png", "webp"]),
    default="jpg",
    show_default=True,
)
@click.option("--quality", type=click.IntRange(1, 100), default=92, show_default=True)
@click.option("--keep-duplicates", is_flag=True, help="Keep duplicates; they are still reported.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier import in --out.")
@options.apply("json")
@options.errors
def import_(
    catalogue: str,
    images: str,
    out: str,
    field_sku: str | None,
    field_image: str | None,
    field_text: str | None,
    overwrite: bool,
    as_json: bool,
    **shape: Any,
) -> None:
    """Import a CATALOGUE (JSON, JSONL, CSV) and its pictures as an imagefolder."""
    from ...training.catalog_import.import_catalog import Shape, import_catalogue
    from ...training.catalog_import.product_catalog import read_catalogue
    from . import dataset_output as show

    products, fields = read_catalogue(
        Path(catalogue), sku=field_sku, image=field_image, text=field_text
    )
    with StageProgress(as_json) as bars:
        report = import_catalogue(
            products,
            Path(images),
            Path(out),
            shape=Shape(**{**shape, "max_side": shape["max_side"] or None}),
            overwrite=overwrite,
            progress=partial(bars.update, "import"),
        )
    if as_json:
        print_json(report.as_json())
    else:
        show.imported(report, fields, Path(out))


@dataset.command(
    epilog=examples(
        "visuals dataset check photos",
        "visuals dataset check photos --resolution 512 --train-batch-size 4",
    )
)
@click.argument("folder")
@click.option(
    "--resolution", default="768", show_default=True, metavar="N|W,H", help="As in kohya's scripts."
)
@click.option("--train-batch-size", type=click.IntRange(1), default=1, show_default=True)
@click.option("--gradient-accumulation-steps", type=click.IntRange(1), default=1)
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=1,
    help="Repeats of pictures outside N_name folders.",
)
@click.option("--enable-bucket/--no-bucket", default=True, show_default=True)
@click.option("--min-bucket-reso", type=int, help="Default: 320, or the resolution if smaller.")
@click.option("--max-bucket-reso", type=int, default=1280, show_default=True)
@click.option("--bucket-reso-steps", type=click.IntRange(8), default=64, show_default=True)
@click.option("--bucket-no-upscale", is_flag=True, help="Never upscale a picture.")
@click.option(
    "--caption-extension", metavar=".EXT", help="Caption files. Default: .txt, then .caption."
)
@click.option(
    "--caption-column", default="text", show_default=True, help="Column of metadata.jsonl."
)
@click.option("--max-token-length", type=click.IntRange(1), default=75, show_default=True)
@click.option(
    "--show",
    "shown",
    type=click.IntRange(0),
    default=5,
    help="Pictures to list.",
    show_default=True,
)
@options.apply("preset", "json")
@options.errors
def check(
    folder: str,
    resolution: str,
    train_batch_size: int,
    gradient_accumulation_steps: int,
    epochs: int,
    repeats: int,
    caption_extension: str | None,
    caption_column: str,
    max_token_length: int,
    shown: int,
    preset: str,
    as_json: bool,
    **bucket_options: Any,
) -> None:
    """Show FOLDER as the trainer sees it. The exit code is 1 if something is broken."""
    from ...configs.schema import load_settings
    from ...training.check_dataset import check_dataset
    from ...training.datasets.buckets import Buckets
    from ...training.datasets.dataset_folder import read_dataset
    from . import dataset_output as show

    size = _resolution(resolution)
    steps = bucket_options["bucket_reso_steps"]
    bucket_options["min_bucket_reso"] = bucket_options["min_bucket_reso"] or min(
        320, min(size) // steps * steps
    )
    buckets = Buckets(resolution_wh=size, **bucket_options)
    found = read_dataset(
        Path(folder),
        caption_column=caption_column,
        caption_extension=caption_extension,
        repeats=repeats,
    )
    count = token_counter(load_settings(preset), quiet=as_json)
    with StageProgress(as_json) as bars:
        report = check_dataset(
            found,
            buckets=buckets,
            batch_size=train_batch_size,
            gradient_accumulation_steps=gradient_accumulation_steps,
            count_tokens=count,
            max_token_length=max_token_length,
            progress=partial(bars.update, "check"),
        )
    if as_json:
        values = report.as_json() | {"epochs": epochs, "steps": epochs * report.steps}
        print_json(values)
    else:
        show.checked(report, epochs, shown)
    if report.broken:
        sys.exit(1)


def _resolution(text: str) -> tuple[int, int]:
    parts = text.lower().replace("x", ",").split(",")
    if not 1 <= len(parts) <= 2 or not all(p.strip().isdigit() for p in parts):
        raise click.UsageError(f"--resolution {text!r}: expected a number, or width,height")
    return int(parts[0]), int(parts[-1])
