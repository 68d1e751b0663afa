"""`visuals grid`: prompts, LoRA weights, checkpoints, presets and seeds in one labelled picture."""

from __future__ import annotations

import json

import click

from .options import apply, errors, on_a_disk, parse_overrides


def _seeds(ctx: click.Context, option: click.Parameter, given: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in given.split(","))
    except ValueError:
        raise click.BadParameter(f"{given!r}: expected numbers, as in 1,2,3", ctx, option) from None
    if min(seeds) < 0 or max(seeds) >= 2**32:
        raise click.BadParameter(f"{given!r}: expected 0 to 4294967295", ctx, option)
    return seeds


@click.command()
@click.option(
    "--class", "classes", multiple=True, metavar="NAME", help="Fills {class} in the prompts."
)
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="May be repeated.")
@click.option(
    "--lora",
    "loras",
    multiple=True,
    metavar="NAME:W,W",
    help="A LoRA and its weights, 0 for without; a second one is chained.",
)
@click.option(
    "--checkpoint", "checkpoints", multiple=True, metavar="MODEL", help="In place of the preset's."
)
@click.option(
    "--preset", "presets", multiple=True, metavar="NAME", help="Default: mini; may be repeated."
)
@click.option("--seeds", default="0,1,2,3", show_default=True, metavar="N,N", callback=_seeds)
@click.option(
    "--columns", metavar="AXIS", help="preset, checkpoint, prompt, lora or seed across the top."
)
@click.option("--out", default="grid.png", show_default=True, metavar="FILE", callback=on_a_disk)
@click.option(
    "--cells",
    "cells_dir",
    metavar="DIR",
    help="Also write each picture, as soon as it is made, and grid.json.",
)
@apply("lora_dir", "device", "low_memory", "allow_pickle", "set", "json")
@errors
def grid(
    classes: tuple[str, ...],
    prompts: tuple[str, ...],
    loras: tuple[str, ...],
    checkpoints: tuple[str, ...],
    presets: tuple[str, ...],
    seeds: tuple[int, ...],
    columns: str | None,
    out: str,
    cells_dir: str | None,
    lora_dirs: tuple[str, ...],
    device: str | None,
    low_memory: bool | None,
    allow_pickle: bool | None,
    changes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Draw the same pictures with different settings, side by side.

    Every value of one axis is drawn with every value of the others. The last axis that varies
    makes the columns, the others the rows.
    """
    from ..jobs.draw_grid import GridRequest, draw_grid
    from .output import TerminalReporter

    placement = {"run.device": device, "run.low_memory": low_memory}
    placement["run.allow_pickle"] = allow_pickle
    request = GridRequest(
        prompts=prompts,
        classes=classes,
        loras=loras,
        seeds=seeds,
        presets=presets or ("mini",),
        checkpoints=checkpoints,
        columns=columns,
        lora_dirs=lora_dirs,
        overrides={**parse_overrides(changes), **{k: v for k, v in placement.items() if v}},
        out=out,
        cells=cells_dir,
    )
    with TerminalReporter(as_json) as reporter:
        drawn = draw_grid(request, reporter)
    cells = drawn.plan.cells
    if as_json:
        records = [{**cell, "lora": str(cell["lora"])} for cell in cells]
        click.echo(json.dumps({"grid": out, "cells": records, "missing": drawn.missing}))
    else:
        click.echo(f"{len(cells)} pictures, {drawn.missing} missing", err=True)
        click.echo(f"grid      {out}")
    if drawn.failed:
        raise SystemExit(1)
