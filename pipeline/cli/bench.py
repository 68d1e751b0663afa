"""`visuals bench`: measures quality, speed, crash recovery and training."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from ...checkpoints import atomic_files
from ...configs.errors import writable
from . import options
from .downloads import download
from .grouped_help import examples
from .output import echo
from .progress import StageProgress

_WORK = click.option(
    "--work",
    metavar="DIR",
    callback=options.new_folder,
    help="Working folder, a new one. Default: a temporary one, which is deleted.",
)


def _out(name: str) -> Callable[[Any], Any]:
    return click.option(
        "--out",
        metavar="FILE",
        default=name,
        show_default=True,
        callback=options.new_file,
        help="Report, a new file.",
    )


def _tell(text: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(f"[dim]{text}…[/]")


def _finish(report: Any, out: str, as_json: bool, shown: Iterable[Any]) -> None:
    """Write the report to `out`; print it as JSON, or what is `shown` of it."""
    from rich.console import Console

    text = json.dumps(report, indent=1)
    with writable(out):
        atomic_files.write(Path(out), f"{text}\n".encode())
    if as_json:
        echo(text)
        return
    for part in shown:
        Console(highlight=False).print(part)
    Console(stderr=True).print(f"[dim]written to {out}[/]")


@click.group()
def bench() -> None:
    """Measure quality, speed, crash recovery and training."""


@bench.command(
    epilog=examples(
        "visuals bench quality --only detection --pictures 20",
        "visuals bench quality --preset sd15 --out sd15.json",
    )
)
@options.apply("preset", "set", "yes", "json")
@click.option("--only", metavar="NAMES", help="Only these measures, by comma: detection,vae,…")
@click.option("--pictures", type=click.IntRange(2), default=200, show_default=True)
@click.option("--count", type=click.IntRange(1), default=20, show_default=True)
@_out("quality.json")
@options.errors
def quality(
    preset: str,
    changes: tuple[str, ...],
    yes: bool,
    as_json: bool,
    only: str | None,
    pictures: int,
    count: int,
    out: str,
) -> None:
    """Measure detection, masks, pictures, colors and speed on held-out pictures.

    --pictures: photos to search; --count: pictures of each class to generate.
    """
    from ...benchmarks import targets
    from ...benchmarks.quality import MEASURES, measure
    from ...checkpoints.hub.first_use import missing
    from ...configs.schema import load_settings
    from ..build.required_models import STAGES, required_models

    names = tuple(only.split(",")) if only else MEASURES
    unknown = [n for n in names if n not in MEASURES]
    if unknown:
        raise click.UsageError(f"unknown measure {unknown[0]!r} (expected {', '.join(MEASURES)})")
    settings = load_settings(preset, options.parse_overrides(changes))
    download(missing(required_models(settings, STAGES)), yes=yes)
    values, details = measure(
        settings,
        preset=preset,
        only=names,
        pictures=pictures,
        count=count,
        tell=_tell,
    )
    report = {"preset": preset, "values": targets.report(values), "details": details}
    _finish(report, out, as_json, [targets.table(values)])


@bench.command(
    epilog=examples("visuals bench survive", "visuals bench survive --kills 5 --memory-pictures 0")
)
@click.option("--pictures", type=click.IntRange(4), default=200, show_default=True)
@click.option("--kills", type=click.IntRange(1), default=20, show_default=True)
@click.option(
    "--memory-pictures",
    type=click.IntRange(0),
    default=2000,
    show_default=True,
    help="Photos of the run whose memory is measured; 0: skip this measure.",
)
@_WORK
@_out("survive.json")
@options.apply("json")
@options.errors
def survive(
    pictures: int, kills: int, memory_pictures: int, work: str | None, out: str, as_json: bool
) -> None:
    """Kill runs at random moments and resume them; measure memory over many photos."""
    from ...benchmarks import crash_recovery

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(work or scratch)
        found: dict[str, Any] = {
            "killed": crash_recovery.survive(place, count=pictures, kills=kills, tell=_tell)
        }
        if memory_pictures:
            found["memory"] = crash_recovery.memory(place, count=memory_pictures, tell=_tell)
    rows = (
        f"{part:<8} {key.replace('_', ' '):<22} {value}"
        for part, values in found.items()
        for key, value in values.items()
    )
    _finish(found, out, as_json, rows)


@bench.command(
    epilog=examples(
        "visuals bench speed", "visuals bench speed --only filter --pictures 100 --out filter.json"
    )
)
@options.apply("preset", "set", "yes", "json")
@click.option("--pictures", type=click.IntRange(1), default=24, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--class", "class_", default="mug", show_default=True, metavar="NAME")
@click.option("--only", type=click.Choice(["filter", "run"]), help="Only this command.")
@_out("speed.json")
@options.errors
def speed(
    preset: str,
    changes: tuple[str, ...],
    yes: bool,
    as_json: bool,
    pictures: int,
    rounds: int,
    class_: str,
    only: str | None,
    out: str,
) -> None:
    """Compare pictures a second with plain transformers and diffusers, one picture at a time."""
    from rich.table import Table

    from ...benchmarks.speed import throughput
    from ...checkpoints.hub.first_use import missing
    from ...configs.schema import load_settings
    from ..build.required_models import STAGES, required_models

    settings = load_settings(preset, options.parse_overrides(changes))
    download(missing(required_models(settings, STAGES)), yes=yes)
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
                    tell=_tell,
                )
            )
    table = Table("", *(str(record["command"]) for record in found))
    for key in found[-1]:
        if key != "command":
            cells = (str(record.get(key, "")) for record in found)
            table.add_row(key.replace("_", " "), *cells)
    _finish(found, out, as_json, [table])


@bench.command(
    epilog=examples("visuals bench train", "visuals bench train --only caches --out caches.json")
)
@options.apply("training_setting", "json")
@click.option("--only", type=click.Choice(["look", "caches"]), help="Only this measure.")
@click.option("--photos", type=click.IntRange(8), default=60, show_default=True)
@click.option(
    "--data", metavar="DIR", help="Captioned photos of your own instead of rendered ones."
)
@click.option("--count", type=click.IntRange(1), default=4, show_default=True)
@click.option("--weight", type=float, default=0.85, show_default=True, help="Weight of the LoRA.")
@click.option("--seed", type=click.IntRange(0), default=52_001, show_default=True)
@click.option("--rounds", type=click.IntRange(2), default=20, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True)
@_WORK
@_out("train.json")
@options.errors
def train(
    only: str | None,
    rounds: int,
    batch: int,
    photos: int,
    data: str | None,
    changes: tuple[str, ...],
    work: str | None,
    out: str,
    as_json: bool,
    **look: Any,
) -> None:
    """Measure how well a LoRA learns a look, and the speed of training with caches.

    --count: pictures of each class, before and after the training; --rounds and --batch: of the
    steps that are timed.
    """
    from ...benchmarks import targets
    from ...benchmarks.quality import renderer
    from ...benchmarks.training import lora_style, training_cache
    from ..build.process import quiet

    renderer()
    quiet("transformers", "diffusers")
    values: dict[str, float] = {}
    details: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch, StageProgress(as_json) as progress:
        place = Path(work or scratch)
        # First: a run has the C library keep freed memory, by which a plain loop gains.
        if only != "look":
            sides = {"cache_times": 128, "cache_times_photos": training_cache.IMPORTED}
            for key, side in sides.items():
                progress.say(f"{rounds} steps with caches and without, in turns")
                details[key] = training_cache.measure(
                    "mini/sd", place, size=128, side=side, batch=batch, rounds=rounds
                )
                values[key] = details[key]["times"]
        if only != "caches":
            found, details["look"] = lora_style.measure(
                options.plain_overrides(changes),
                place,
                photos=Path(data) if data else photos,
                tell=progress.say,
                progress=progress.update,
                **look,
            )
            values |= found
    report = {"values": targets.report(values), "details": details}
    _finish(report, out, as_json, [targets.table(values, "visuals bench train")])
