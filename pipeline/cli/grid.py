"""`visuals grid`: prompts, LoRA weights, checkpoints, presets and seeds in one labelled picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .options import apply, errors, on_a_disk, parse_overrides

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot
    from ..jobs.grid import GridPlan
    from ..jobs.grid_files import GridWriter


_KINDS: dict[str, Literal["png", "jpeg", "webp"]] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
}


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
    from ...checkpoints.atomic_files import write
    from ...stages.accel.memory import loading
    from ..build import process
    from ..build.stages import build_stages, check_words
    from ..images import provenance
    from ..images.write import Format
    from ..jobs import grid as grids
    from ..jobs import grid_files as files
    from ..reports.contact_sheet import sheet
    from . import output

    kind = _KINDS.get(Path(out).suffix.lower())
    if kind is None:
        raise click.UsageError(f"--out {out}: expected a name that ends in {', '.join(_KINDS)}")
    asked = {"run.device": device, "run.low_memory": low_memory}
    asked["run.allow_pickle"] = allow_pickle
    overrides = {**parse_overrides(changes), **{k: v for k, v in asked.items() if v}}
    usual = presets or ("mini",)

    def settings_of(preset: str, checkpoint: str | None) -> Settings:
        from ...configs.schema import load_settings

        more: dict[str, Any] = {"generate.model": checkpoint} if checkpoint else {}
        settings = load_settings(preset, {**overrides, **more})
        if lora_dirs:
            more["generate.lora_dirs"] = [*lora_dirs, *settings.generate.lora_dirs]
            settings = load_settings(preset, {**overrides, **more})
        return settings

    plan = grids.ask(
        prompts=prompts or (settings_of(usual[0], None).generate.prompt,),
        classes=classes,
        loras=loras,
        seeds=seeds,
        presets=usual,
        checkpoints=checkpoints,
        columns=columns,
    )
    for preset in usual:
        for weights in plan.values["lora"]:
            check_words(
                settings_of(preset, None), [weights.put(text) for text in plan.values["prompt"]]
            )
    with output.StageProgress(as_json) as bars:

        def build(settings: Settings) -> Any:
            with loading():
                process.prepare(settings, ("generate",))
                return build_stages(settings, ("generate",), report=bars.say)

        kept = files.GridWriter(Path(cells_dir), plan) if cells_dir else None
        keep = _keeper(kept, plan) if kept else lambda n, s, of: None
        drawn = grids.draw(plan.cells, settings_of, build, bars.update, keep)
    picture = sheet(drawn, *files.headings(plan))
    write(Path(out), Format(kind).encode(picture, xmp=provenance.packet(provenance.DRAWN)))
    missing = sum(isinstance(cell, str) for cell in drawn)
    if as_json:
        cells = [{**cell, "lora": str(cell["lora"])} for cell in plan.cells]
        click.echo(json.dumps({"grid": out, "cells": cells, "missing": missing}))
    else:
        click.echo(f"{len(drawn)} pictures, {missing} missing", err=True)
        click.echo(f"grid      {out}")
    if missing == len(drawn):
        raise SystemExit(1)


def _keeper(kept: GridWriter, plan: GridPlan) -> Callable[[int, Shot, Settings], None]:
    """What writes each cell with how it was made."""
    from ..build import recorded_hashes
    from ..build.model_hashes import fingerprints
    from ..images import provenance
    from ..images.infotext import format_infotext
    from ..jobs import grid as grids
    from ..runs import run_yaml

    known: dict[int, tuple[dict[str, Any], dict[str, str]]] = {}

    def keep(number: int, shot: Shot, settings: Settings) -> None:
        if id(settings) not in known:
            words = [w.put(text) for w in plan.values["lora"] for text in plan.values["prompt"]]
            made = {
                "request": {"command": "grid", "needs": ["generate"]},
                "settings": settings.model_dump(mode="json"),
                "checkpoints": fingerprints(settings, words),
                "versions": run_yaml.versions(),
            }
            known.clear()
            known[id(settings)] = made, recorded_hashes.of(settings, words)
        made, short = known[id(settings)]
        text = format_infotext(shot, made["settings"], short)
        beside = {
            "text": text,
            "lineage": provenance.record(shot, made),
            "xmp": provenance.xmp(shot),
        }
        kept.put(number, grids.picture(shot), **beside)

    return keep
