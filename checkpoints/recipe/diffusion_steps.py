"""The recipe's steps round Stable Diffusion: VAE, UNet, ControlNets, LoRA, and what they draw."""

from __future__ import annotations

from typing import Any

from .training.time_steps import Bench


def vae(bench: Bench) -> None:
    """From nothing, or with `--start` on, the latents kept near what they were."""
    import numpy as np

    from .diffusion import vae as step

    train, val = bench.renders("train"), bench.renders("val")
    shape: dict[str, Any] = {"side": bench.plan.vae_side, "batch": bench.plan.vae_batch}
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
    from .diffusion import vae_finish as step

    model, plan = load_vae(bench), bench.plan
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


def load_vae(bench: Bench) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(bench.parts / "vae").eval().to(bench.device)


def _pictures(bench: Bench, side: int | None = None) -> Any:
    from .diffusion import latents

    train, plan = bench.renders("train"), bench.plan
    side = side or plan.size
    details = plan.details if side < plan.size else 0
    cuts = latents.choose(train, whole=plan.whole, details=details, side=side)
    return latents.prepare(load_vae(bench), train, cuts, bench.state)


def unet_half(bench: Bench) -> None:
    """At half the size: whole pictures made small, and details as they are."""
    if bench.start is None:
        plan = bench.plan
        _unet(bench, "unet-half", plan.unet_half, plan.unet_half_batch, plan.size // 2)


def unet(bench: Bench) -> None:
    _unet(bench, "unet", bench.plan.unet, bench.plan.unet_batch, bench.plan.size)


def _unet(bench: Bench, name: str, budget: Any, batch: int, side: int) -> None:
    from .diffusion import denoiser

    pictures, plan = _pictures(bench, side), bench.plan
    half, tok = bench.parts / "unet-half", _tokenizer(bench)
    if bench.start is None and (name == "unet-half" or not half.exists()):
        text = denoiser.text_encoder(tok)
        net = denoiser.unet(plan.unet_channels, size=plan.size)
    else:
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTextModel

        start = (half / "text", half / "unet")
        if bench.start is not None:
            start = (bench.start / "sd" / "text_encoder", bench.start / "sd" / "unet")
        text = CLIPTextModel.from_pretrained(start[0])
        net = UNet2DConditionModel.from_pretrained(start[1])
    text, net = text.float().to(bench.device), net.float().to(bench.device)
    denoiser.fit(
        net, text, tok, pictures, workdir=bench.state, budget=budget, batch=batch, name=name
    )
    out = half if name == "unet-half" else bench.parts
    text.save_pretrained(out / "text")
    net.save_pretrained(out / "unet")
    sheet(bench)


def _tokenizer(bench: Bench) -> Any:
    """Made once: renders that are added later must not change it."""
    from transformers import CLIPTokenizer

    from .diffusion import denoiser

    folder = bench.parts / "tokenizer"
    if not folder.exists():
        if bench.start is None:
            tok = denoiser.tokenizer([m["caption"] for m in bench.renders("train").meta])
        else:
            tok = CLIPTokenizer.from_pretrained(bench.start / "sd" / "tokenizer")
        tok.save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def sheet(bench: Bench) -> None:
    """Draw every class with four seeds by what the UNet has learned so far: WORKDIR/sheets."""
    from .diffusion import sheet as step

    step.draw(bench.workdir, bench.device, bench.plan.sheet_steps)


def load_diffusion(bench: Bench) -> tuple[Any, Any, Any]:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    return (
        UNet2DConditionModel.from_pretrained(bench.parts / "unet").to(bench.device),
        CLIPTextModel.from_pretrained(bench.parts / "text").to(bench.device),
        CLIPTokenizer.from_pretrained(bench.parts / "tokenizer"),
    )


def controlnet(bench: Bench, kind: str = "canny") -> None:
    from . import assemble
    from .diffusion import controlnet as step

    net, text, tok = load_diffusion(bench)
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
    from .diffusion import latents

    renders = bench.renders("recoloured")
    cuts = latents.choose(renders, whole=len(renders), crowd=0.0)
    return latents.prepare(load_vae(bench), renders, cuts, bench.state)


def controlnet_depth(bench: Bench) -> None:
    controlnet(bench, "depth")


def lora(bench: Bench) -> None:
    from .diffusion import look_lora as step

    net, text, tok = load_diffusion(bench)
    budget = bench.plan.lora
    step.fit(net, text, tok, load_vae(bench), workdir=bench.state, budget=budget)
    step.export(net, bench.parts / "loras" / f"{step.TAG}.safetensors")


def decoded(bench: Bench) -> None:
    """Renders drawn anew by the diffusion model, for the segmenter."""
    from .diffusion import decoded as step

    net, text, tok = load_diffusion(bench)
    models = (load_vae(bench), net, text, tok)
    step.draw_split(models, bench.workdir / "renders", bench.plan.decoded)
