"""`visuals bench`: what the models are worth, measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from . import options
from .bench_train import train


@click.group()
def bench() -> None:
    """Measure what the models are worth."""


bench.add_command(train)


@bench.command()
@options.apply("preset", "set", "json")
@click.option("--only", metavar="NAMES", help="Some measures, by comma: detection,vae,…")
@click.option("--pictures", type=click.IntRange(2), default=200, show_default=True)
@click.option("--count", type=click.IntRange(1), default=20, show_default=True)
@click.option("--out", metavar="FILE", default="quality.json", show_default=True)
@options.errors
def quality(
    preset: str,
    changes: tuple[str, ...],
    as_json: bool,
    only: str | None,
    pictures: int,
    count: int,
    out: str,
) -> None:
    """Detection, masks, pictures, colours and speed on pictures that no training saw."""
    from rich.console import Console

    from ...benchmarks import targets
    from ...benchmarks.quality import MEASURES, MissingExtraError, measure
    from ...configs.schema import load_settings

    names = tuple(only.split(",")) if only else MEASURES
    unknown = [n for n in names if n not in MEASURES]
    if unknown:
        raise click.UsageError(f"unknown measure {unknown[0]!r} (expected {', '.join(MEASURES)})")
    notes = Console(stderr=True)
    try:
        values, details = measure(
            load_settings(preset, options.parse_overrides(changes)),
            preset=preset,
            only=names,
            pictures=pictures,
            count=count,
            tell=lambda text: notes.print(f"[dim]{text}…[/]"),
        )
    except MissingExtraError as error:
        raise click.ClickException(str(error)) from None
    report: dict[str, Any] = {
        "preset": preset,
        "values": targets.report(values),
        "details": details,
    }
    text = json.dumps(report, indent=1)
    Path(out).write_text(text + "\n", encoding="utf-8")
    if as_json:
        click.echo(text)
    else:
        Console().print(targets.table(values))
        notes.print(f"[dim]written to {out}[/]")


@bench.command()
@click.option("--pictures", type=click.IntRange(4), default=200, show_default=True)
@click.option("--kills", type=click.IntRange(1), default=20, show_default=True)
@click.option(
    "--memory-pictures",
    type=click.IntRange(0),
    default=2000,
    show_default=True,
    help="Photos of the run whose memory is measured; 0 measures none.",
)
@click.option("--work", metavar="DIR", help="Where the runs go; default: a folder that is deleted.")
@click.option("--out", metavar="FILE", default="survive.json", show_default=True)
@options.apply("json")
@options.errors
def survive(
    pictures: int, kills: int, memory_pictures: int, work: str | None, out: str, as_json: bool
) -> None:
    """Kill runs at random moments and resume them; measure memory over many photos."""
    import tempfile

    from rich.console import Console

    from ...benchmarks import crash_recovery as runs

    notes = Console(stderr=True)

    def tell(text: str) -> None:
        notes.print(f"[dim]{text}…[/]")

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(work or scratch)
        found: dict[str, Any] = {
            "killed": runs.survive(place, count=pictures, kills=kills, tell=tell)
        }
        if memory_pictures:
            found["memory"] = runs.memory(place, count=memory_pictures, tell=tell)
    text = json.dumps(found, indent=1)
    Path(out).write_text(text + "\n", encoding="utf-8")
    if as_json:
        click.echo(text)
        return
    for part, values in found.items():
        for key, value in values.items():
            click.echo(f"{part:<8} {key.replace('_', ' '):<22} {value}")
    notes.print(f"[dim]written to {out}[/]")


@bench.command()
@options.apply("preset", "set", "json")
@click.option("--pictures", type=click.IntRange(1), default=24, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--class", "class_", default="mug", show_default=True, metavar="NAME")
@click.option("--only", type=click.Choice(["filter", "run"]), help="One of the two measures.")
@click.option("--out", metavar="FILE", default="speed.json", show_default=True)
@options.errors
def speed(
    preset: str,
    changes: tuple[str, ...],
    as_json: bool,
    pictures: int,
    rounds: int,
    class_: str,
    only: str | None,
    out: str,
) -> None:
    """Pictures a second, against transformers + diffusers one picture at a time (benchmarks/)."""
    import tempfile

    from rich.console import Console
    from rich.table import Table

    from ...benchmarks import throughput
    from ...configs.schema import load_settings

    notes = Console(stderr=True)
    settings = load_settings(preset, options.parse_overrides(changes))
    found = []
    for name in (only,) if only else ("filter", "run"):
        with tempfile.TemporaryDirectory() as work:
            found.append(
                throughput.compare(
                    settings,
                    Path(work),
                    preset=preset,
                    class_=class_,
                    count=pictures,
                    rounds=rounds,
                    rerender=name == "run",
                    changes=changes,
                    tell=lambda text: notes.print(f"[dim]{text}…[/]"),
                )
            )
    text = json.dumps(found, indent=1)
    Path(out).write_text(text + "\n", encoding="utf-8")
    if as_json:
        click.echo(text)
        return
    table = Table("", *(str(record["command"]) for record in found))
    for key in found[-1]:
        if key != "command":
            cells = (str(record.get(key, "")) for record in found)
            table.add_row(key.replace("_", " "), *cells)
    Console().print(table)
    notes.print(f"[dim]written to {out}[/]")
