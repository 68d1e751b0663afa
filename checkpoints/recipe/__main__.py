"""Makes the embedded models again from nothing: `python -m visuals.checkpoints.recipe`.

Every step keeps its state in the work folder and goes on where it was stopped; a finished step
is not done twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .diffusion_steps import (  # noqa: F401 - called by the names of the steps
    controlnet,
    controlnet_depth,
    decoded,
    decoder,
    load_diffusion,
    load_vae,
    lora,
    sheet,
    unet,
    unet_half,
    vae,
)
from .pictures.rendered_pictures import default_workdir
from .training.budgets import PLANS
from .training.time_steps import Bench

STEPS = (
    "renders",
    "vae",
    "decoder",
    "unet-half",
    "unet",
    "controlnet",
    "depth",
    "controlnet-depth",
    "lora",
    "detector",
    "detector-crowd",
    "decoded",
    "segmenter",
    "classifier",
    "blip",
    "assemble",
)


PARTS = (
    "controlnet-canny",
    "controlnet-depth",
    "depth",
    "loras",
    "grounding-dino",
    "sam",
    "classifier",
    "blip",
)


def renders(bench: Bench) -> None:
    from .pictures.rendered_pictures import render_split

    plan = bench.plan
    for split, count, size in (
        ("val", plan.val_pictures, plan.size),
        ("train", plan.train_pictures, plan.size),
        ("crowd", plan.crowd_pictures, plan.crowd_size),
        ("recoloured", plan.recoloured, plan.size),
        ("singles", plan.singles, 128),
        ("plain", plan.plain, 128),
    ):
        folder = bench.workdir / "renders"
        render_split(folder, split, count, size, workers=bench.workers)


def depth(bench: Bench) -> None:
    from .diffusion import depth as step
    from .diffusion import latents

    train, plan = bench.renders("train"), bench.plan
    cuts = latents.choose(train, whole=plan.whole)
    model = bench.begin(step.build(plan.size), "depth")
    step.fit(model, train, cuts, workdir=bench.state, budget=plan.depth)
    print("depth val", step.evaluate(model, bench.renders("val"), 200), flush=True)
    step.export(model, bench.parts / "depth", plan.size)


def detector(bench: Bench) -> None:
    from .recognition import detector as step

    plan, start, size = bench.plan, None, 128
    budgets = plan.detector_warm, plan.detector
    if bench.start:
        start, size = bench.start / "grounding-dino", 192
        budgets = plan.detector_warm, plan.detector_again
    out, val = bench.parts / "grounding-dino", bench.renders("val")
    step.run(bench.state, out, _sources(bench, "train"), val, budgets, start, bench.device, size)


def _sources(bench: Bench, *splits: str) -> list[Any]:
    """What a detector learns on, see `recognition.detector.drawn`."""
    sources: list[Any] = [(bench.renders(split), bench.things()) for split in splits]
    scenes = (_bank(bench), None)
    return [*sources, scenes, (bench.renders("plain"), None), scenes]


def detector_crowd(bench: Bench) -> None:
    from .recognition import detector as step

    out, budget = bench.parts / "grounding-dino", bench.plan.detector_crowd
    sources, val = _sources(bench, "train", "crowd"), bench.renders("val")
    step.run_crowd(bench.state, out, sources, val, budget, bench.device)


def segmenter(bench: Bench) -> None:
    from .recognition import segmenter as step

    train, val = bench.renders("train"), bench.renders("val")
    model = bench.begin(step.build(), "sam")
    budget, things = bench.plan.segmenter, bench.things()
    redrawn = bench.renders("decoded")
    step.run(bench.state, bench.parts / "sam", train, val, budget, model, things, redrawn)


def classifier(bench: Bench) -> None:
    from .recognition import classifier as step

    model = step.build().to(bench.device)
    out, val = bench.parts / "classifier", bench.renders("val")
    step.run(bench.state, out, _bank(bench), val, bench.plan.classifier, model)


@functools.cache
def _bank(bench: Bench) -> Any:
    """What the classifier's crops and the detector's scenes are made of."""
    from .pictures import clip_art, cut_outs
    from .recognition.classifier import LABELS

    art = None
    if bench.plan.clip_art:
        art = bench.workdir / "clip-art"
        clip_art.fetch(art)
    drawn = [bench.renders("singles"), bench.renders("plain")]
    return cut_outs.fill(drawn, art, LABELS, bench.plan.backs)


def blip(bench: Bench) -> None:
    import numpy as np

    from .recognition import blip as step
    from .recognition import caption_grammar

    train, val = bench.renders("train"), bench.renders("val")
    model = bench.begin(step.build(len(caption_grammar.tokenizer()), size=bench.plan.size), "blip")
    if bench.start is None:
        step.whiten(model, np.array(train.images[:400]))
    step.run(bench.state, bench.parts / "blip", train, val, bench.plan.blip, model)


def assemble(bench: Bench) -> None:
    """Copy the parts to where the program looks for them."""
    import shutil

    from . import assemble as step

    net, text, tok = load_diffusion(bench)
    step.text_to_image(bench.out / "sd", load_vae(bench), net, text, tok)
    for part in PARTS:
        if (bench.parts / part).exists():
            shutil.copytree(bench.parts / part, bench.out / part, dirs_exist_ok=True)
    step.forget_paths(bench.out)
    step.words(bench.out)


@click.command(help=__doc__)
@click.option(
    "--workdir", type=Path, help="Pictures and states. Default: a folder in the user's cache."
)
@click.option("--out", type=Path, help="Where the models go. Default: WORKDIR/mini.")
@click.option("--plan", "plan_name", type=click.Choice(list(PLANS)), default="cpu")
@click.option(
    "--only",
    default=",".join(STEPS),
    help=f"Steps, by comma: {', '.join(STEPS)}; or sheet: a look at the UNet.",
)
@click.option("--start", type=Path, help="Models to train on, instead of from nothing.")
@click.option("--device", default="auto", help="cpu, cuda or mps. Default: a GPU if there is one.")
@click.option("--threads", type=int, default=0, help="torch's threads; 0: as many as it likes.")
@click.option("--workers", type=int, default=2, show_default=True, help="Processes that render.")
def main(
    workdir: Path | None,
    out: Path | None,
    plan_name: str,
    only: str,
    start: Path | None,
    device: str,
    threads: int,
    workers: int,
) -> None:
    import torch

    if threads:
        torch.set_num_threads(threads)
    steps = only.split(",")
    unknown = [s for s in steps if s not in (*STEPS, "sheet")]
    if unknown:
        raise click.UsageError(f"unknown step {unknown[0]!r} (expected {', '.join(STEPS)})")
    work = workdir or default_workdir() / plan_name
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    bench = Bench(work, out or work / "mini", PLANS[plan_name], workers, start, device)
    tasks: dict[str, Callable[[Bench], None]] = {
        n: globals()[n.replace("-", "_")] for n in (*STEPS, "sheet")
    }
    for name in steps:
        torch.manual_seed(0)
        print(f"== {name}", flush=True)
        tasks[name](bench)
    print(f"done: {bench.out}", flush=True)


if __name__ == "__main__":
    main()
