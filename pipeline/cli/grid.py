"""`visuals grid`: prompts, LoRA weights, checkpoints, presets and seeds in one labelled picture."""

from __future__ import annotations

from typing import Any

import click

from . import output
from .grouped_help import examples
from .options import apply, errors, new_folder, on_a_disk, parse_overrides
from .output import echo


def _seeds(ctx: click.Context, option: click.Parameter, given: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in given.split(","))
    except ValueError:
        raise click.BadParameter(f"{given!r}: expected numbers, as in 1,2,3", ctx, option) from None
    if min(seeds) < 0 or max(seeds) >= 2**32:
        raise click.BadParameter(f"{given!r}: expected 0 to 4294967295", ctx, option)
    return seeds


@click.command(
    epilog=examples(
        "visuals grid --class mug --seeds 1,2,3",
        "visuals grid --class mug --lora ppzmini:0,0.5,1 --out weights.png",
    )
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="NAME",
    help="Class for {class} in the prompts; repeatable.",
)
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="Prompt; repeatable.")
@click.option(
    "--lora",
    "loras",
    multiple=True,
    metavar="NAME:W,W",
    help="LoRA and its weights, 0: without it; repeatable, every combination is drawn.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="MODEL",
    help="Model instead of the preset's; repeatable.",
)
@click.option(
    "--preset", "presets", multiple=True, metavar="NAME", help="Preset; repeatable. Default: mini."
)
@click.option("--seeds", default="0,1,2,3", show_default=True, metavar="N,N", callback=_seeds)
@click.option(
    "--columns",
    metavar="AXIS",
    help="Axis across the top: preset, checkpoint, prompt, lora or seed.",
)
@click.option("--out", default="grid.png", show_default=True, metavar="FILE", callback=on_a_disk)
@click.option(
    "--cells",
    metavar="DIR",
    callback=new_folder,
    help="Write each picture to DIR as soon as it is made, with a grid.json.",
)
@apply("lora_dir", "device", "low_memory", "license", "allow_pickle", "yes", "set", "json")
@errors
def grid(
    as_json: bool, yes: bool, changes: tuple[str, ...], presets: tuple[str, ...], **options: Any
) -> None:
    """Draw the same pictures with different settings, side by side.

    Every combination of prompts, LoRA weights, models, presets and seeds is drawn. The last of
    these that varies makes the columns, the others the rows.
    """
    from ..jobs.draw_grid import GridRequest, draw_grid
    from .reporter import TerminalReporter

    names = ("device", "low_memory", "license", "allow_pickle")
    placement = {f"run.{name}": value for name in names if (value := options.pop(name))}
    overrides = {**parse_overrides(changes), **placement}
    request = GridRequest(presets=presets or ("mini",), overrides=overrides, **options)
    with TerminalReporter(as_json, yes=yes) as reporter:
        drawn = draw_grid(request, reporter)
    cells = drawn.plan.cells
    if as_json:
        records = [{**cell, "lora": str(cell["lora"])} for cell in cells]
        output.print_json({"grid": request.out, "cells": records, "missing": drawn.missing})
    else:
        echo(f"{len(cells)} pictures, {drawn.missing} missing", err=True)
        echo(f"grid      {request.out}")
    if drawn.failed:
        raise SystemExit(1)
