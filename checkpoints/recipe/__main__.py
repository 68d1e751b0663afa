"""Makes the embedded models again from nothing: `python -m visuals.checkpoints.recipe`.

Every step keeps its state in the work folder and goes on where it was stopped; a finished step
is not done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .budgets import PLANS
from .rendered_pictures import default_workdir
from .time_steps import Bench

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
    from .rendered_pictures import render_split

    plan = bench.plan
    for split, count, size in (
        ("val", plan.val_pictures, plan.size),
        ("train", plan.train_pictures, plan.size),
        ("crowd", plan.crowd_pictures, plan.crowd_size),
        ("recoloured", plan.recoloured, plan.size),
    ):
        folder = bench.workdir / "renders"
        render_split(folder, split, count, size, varied=plan.varied, workers=bench.workers)


def vae(bench: Bench) -> None:
    """From nothing, or with `--start` on, the latents kept near what they were."""
    import numpy as np

    from . import vae as step

    train, val = bench.renders("train"), bench.renders("val")
    shape = {"side": bench.plan.vae_side, "batch": bench.plan.vae_batch}
    model = bench.begin(step.build(bench.plan.vae_channels, bench.plan.size), "sd/vae")
    if bench.start is None:
        step.fit(model, train, workdir=bench.state, budget=bench.plan.vae, **shape)
        step.whiten(model, np.asarray(train.images[:1000]))
    else:
        budget = bench.plan.vae_again
        near = bench.begin(model, "sd/vae").eval().requires_grad_(False)
        step.fit(
            model, train, workdir=bench.state, budget=budget, name="vae-again", near=near, **shape
        )
    print(f"vae: {step.psnr(model, val.images[:256]):.2f} dB on held-out pictures", flush=True)
    model.save_pretrained(bench.parts / "vae")


def decoder(bench: Bench) -> None:
    """Crisper edges and truer colours from the same latents."""
    from . import vae_finish as step

    model, plan = _vae(bench), bench.plan
    print(f"vae: {step.gate(model, bench.renders('val'))}", flush=True)
    step.fit(
        model,
        bench.renders("train"),
        workdir=bench.state,
        budget=plan.decoder,
        batch=plan.vae_batch,
        side=plan.vae_side,
    )
    print(f"decoder: {step.gate(model, bench.renders('val'))}", flush=True)
    model.save_pretrained(bench.parts / "vae")


def _vae(bench: Bench) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(bench.parts / "vae").eval().to(bench.device)


def _pictures(bench: Bench, side: int | None = None) -> Any:
    from . import latents

    train, plan = bench.renders("train"), bench.plan
    side = side or plan.size
    details = plan.details if side < plan.size else 0
    cuts = latents.choose(train, whole=plan.whole, close=plan.close, details=details, side=side)
    return latents.prepare(_vae(bench), train, cuts, bench.state)


def unet_half(bench: Bench) -> None:
    """At half the size: whole pictures made small, and details as they are."""
    if bench.plan.unet_half is not None and bench.start is None:
        plan = bench.plan
        _unet(bench, "unet-half", plan.unet_half, plan.unet_half_batch, plan.size // 2)


def unet(bench: Bench) -> None:
    _unet(bench, "unet", bench.plan.unet, bench.plan.unet_batch, bench.plan.size)


def _unet(bench: Bench, name: str, budget: Any, batch: int, side: int) -> None:
    from . import diffusion

    pictures, plan = _pictures(bench, side), bench.plan
    half, tok = bench.parts / "unet-half", _tokenizer(bench)
    if bench.start is None and (name == "unet-half" or not half.exists()):
        text = diffusion.text_encoder(tok)
        net = diffusion.unet(plan.unet_channels, size=plan.size)
    else:
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTextModel

        start = (half / "text", half / "unet")
        if bench.start is not None:
            start = (bench.start / "sd" / "text_encoder", bench.start / "sd" / "unet")
        text = CLIPTextModel.from_pretrained(start[0])
        net = UNet2DConditionModel.from_pretrained(start[1])
    text, net = text.float().to(bench.device), net.float().to(bench.device)
    diffusion.fit(
        net, text, tok, pictures, workdir=bench.state, budget=budget, batch=batch, name=name
    )
    out = half if name == "unet-half" else bench.parts
    text.save_pretrained(out / "text")
    net.save_pretrained(out / "unet")
    sheet(bench)


def _tokenizer(bench: Bench) -> Any:
    """Made once: renders that are added later must not change it."""
    from transformers import CLIPTokenizer

    from . import diffusion

    folder = bench.parts / "tokenizer"
    if not folder.exists():
        if bench.start is None:
            tok = diffusion.tokenizer([m["caption"] for m in bench.renders("train").meta])
        else:
            tok = CLIPTokenizer.from_pretrained(bench.start / "sd" / "tokenizer")
        tok.save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def sheet(bench: Bench) -> None:
    """Draw every class with four seeds by what the UNet has learned so far: WORKDIR/sheets."""
    from . import sheet as step

    step.draw(bench.workdir, bench.device)


def _diffusion(bench: Bench) -> tuple[Any, Any, Any]:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    return (
        UNet2DConditionModel.from_pretrained(bench.parts / "unet").to(bench.device),
        CLIPTextModel.from_pretrained(bench.parts / "text").to(bench.device),
        CLIPTokenizer.from_pretrained(bench.parts / "tokenizer"),
    )


def controlnet(bench: Bench, kind: str = "canny") -> None:
    from . import assemble
    from . import controlnet as step

    net, text, tok = _diffusion(bench)
    control = bench.begin(step.build(net), f"controlnet-{kind}")
    plan = bench.plan
    budget = plan.controlnet if kind == "canny" else plan.controlnet_depth
    step.fit(
        control,
        net,
        text,
        tok,
        _pictures(bench),
        workdir=bench.state,
        budget=budget,
        kind=kind,
        recoloured=_recoloured(bench),
    )
    assemble.controlnet(bench.parts / f"controlnet-{kind}", control)


def _recoloured(bench: Bench) -> Any:
    from . import latents

    if not bench.plan.recoloured:
        return None
    renders = bench.renders("recoloured")
    cuts = latents.choose(renders, whole=len(renders), close=0, crowd=0.0)
    return latents.prepare(_vae(bench), renders, cuts, bench.state)


def controlnet_depth(bench: Bench) -> None:
    controlnet(bench, "depth")


def depth(bench: Bench) -> None:
    from . import depth as step
    from . import latents

    train, plan = bench.renders("train"), bench.plan
    cuts = latents.choose(train, whole=plan.whole, close=plan.close)
    model = bench.begin(step.build(plan.size), "depth")
    step.fit(model, train, cuts, workdir=bench.state, budget=plan.depth)
    print("depth val", step.evaluate(model, bench.renders("val"), 200), flush=True)
    step.export(model, bench.parts / "depth", plan.size)


def lora(bench: Bench) -> None:
    from . import lora as step

    net, text, tok = _diffusion(bench)
    budget, richer = bench.plan.lora, bench.plan.varied
    step.fit(net, text, tok, _vae(bench), workdir=bench.state, budget=budget, richer=richer)
    step.export(net, bench.parts / "loras" / f"{step.TAG}.safetensors")


def detector(bench: Bench) -> None:
    from . import detector as step

    train, val = bench.renders("train"), bench.renders("val")
    plan = bench.plan
    budgets = plan.detector_warm, plan.detector_again if bench.start else plan.detector
    start = bench.start / "grounding-dino" if bench.start else None
    out, things = bench.parts / "grounding-dino", bench.things()
    step.run(bench.state, out, train, val, budgets, start, bench.device, things)


def detector_crowd(bench: Bench) -> None:
    from . import detector as step

    sets = [bench.renders("train"), bench.renders("crowd")]
    out, budget = bench.parts / "grounding-dino", bench.plan.detector_crowd
    val, things = bench.renders("val"), bench.things()
    step.run_crowd(bench.state, out, sets, val, budget, bench.device, things)


def decoded(bench: Bench) -> None:
    """Renders drawn anew by the diffusion model, for the segmenter."""
    from . import decoded as step

    if bench.plan.decoded:
        net, text, tok = _diffusion(bench)
        models = (_vae(bench), net, text, tok)
        step.draw_split(models, bench.workdir / "renders", bench.plan.decoded)


def segmenter(bench: Bench) -> None:
    from . import segmenter as step

    train, val = bench.renders("train"), bench.renders("val")
    model = step.build().to(bench.device)
    budget, things = bench.plan.segmenter, bench.things()
    redrawn = bench.renders("decoded") if bench.plan.decoded else None
    step.run(bench.state, bench.parts / "sam", train, val, budget, model, things, redrawn)


def classifier(bench: Bench) -> None:
    from . import classifier as step

    train, val = bench.renders("train"), bench.renders("val")
    model = step.build().to(bench.device)
    budget, things = bench.plan.classifier, bench.things()
    step.run(bench.state, bench.parts / "classifier", train, val, budget, model, things)


def blip(bench: Bench) -> None:
    import numpy as np

    from . import blip as step
    from . import caption_grammar

    train, val = bench.renders("train"), bench.renders("val")
    model = bench.begin(step.build(len(caption_grammar.tokenizer()), size=bench.plan.size), "blip")
    if bench.start is None:
        step.whiten(model, np.array(train.images[:400]))
    step.run(bench.state, bench.parts / "blip", train, val, bench.plan.blip, model)


def assemble(bench: Bench) -> None:
    """Copy the parts to where the program looks for them."""
    import shutil

    from . import assemble as step

    net, text, tok = _diffusion(bench)
    step.text_to_image(bench.out / "sd", _vae(bench), net, text, tok)
    for part in PARTS:
        if (bench.parts / part).exists():
            shutil.copytree(bench.parts / part, bench.out / part, dirs_exist_ok=True)
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
