"""`visuals bench train`: what a training learns, and what its caches are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from . import options


@click.command()
@options.apply("json")
@click.option("--only", type=click.Choice(["look", "caches"]), help="One of the two measures.")
@click.option("--photos", type=click.IntRange(8), default=60, show_default=True)
@click.option("--data", metavar="DIR", help="Captioned photos of your own, in place of rendered.")
@click.option("--count", type=click.IntRange(1), default=4, show_default=True)
@click.option("--weight", type=float, default=0.85, show_default=True, help="Of the LoRA.")
@click.option(
    "--seed", type=click.IntRange(0), default=52_001, show_default=True, help="Of pictures."
)
@click.option("--rounds", type=click.IntRange(2), default=20, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any setting of the training, as in max_train_steps=100; may be repeated.",
)
@click.option("--work", metavar="DIR", help="Where it trains; default: a folder that is deleted.")
@click.option("--out", metavar="FILE", default="train.json", show_default=True)
@options.errors
def train(
    only: str | None,
    photos: int,
    data: str | None,
    count: int,
    weight: float,
    seed: int,
    rounds: int,
    batch: int,
    changes: tuple[str, ...],
    work: str | None,
    out: str,
    as_json: bool,
) -> None:
    """A look learned from rendered photos (count: pictures of each class before and after);
    CPU seconds of steps with caches and without (rounds, batch)."""
    import tempfile

    from rich.console import Console

    from ...benchmarks import lora_style, targets, training_cache
    from ...benchmarks.quality import MissingExtraError, renderer
    from ...configs.schema import NULL
    from ..build.process import quiet
    from . import output

    given = {k: None if v is NULL else v for k, v in options.parse_overrides(changes).items()}
    try:
        renderer()
    except MissingExtraError as error:
        raise click.ClickException(str(error)) from None
    quiet("transformers", "diffusers")
    values: dict[str, float] = {}
    details: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch, output.StageProgress(as_json) as progress:
        place = Path(work or scratch)
        # First: a run has the C library keep freed memory, by which a plain loop gains.
        if only in (None, "caches"):
            for key, side in (
                ("cache_times", None),
                ("cache_times_photos", training_cache.IMPORTED),
            ):
                progress.say(f"{rounds} steps with caches and without, in turns")
                details[key] = training_cache.measure(
                    "mini/sd", place, size=128, side=side or 128, batch=batch, rounds=rounds
                )
                values[key] = details[key]["times"]
        if only in (None, "look"):
            found, details["look"] = lora_style.measure(
                given,
                place,
                photos=Path(data) if data else photos,
                count=count,
                weight=weight,
                seed=seed,
                tell=progress.say,
                progress=progress.update,
            )
            values |= found
    report = {"values": targets.report(values), "details": details}
    text = json.dumps(report, indent=1)
    Path(out).write_text(text + "\n", encoding="utf-8")
    if as_json:
        click.echo(text)
        return
    Console().print(targets.table(values, "visuals bench train"))
    Console(stderr=True).print(f"[dim]written to {out}[/]")
