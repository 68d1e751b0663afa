"""Finishes the VAE's decoder: crisp edges and true colours from the latents as they are.

The encoder stays frozen, so what learned on its latents stays valid. Beside the error of colours
and slopes the decoder plays against a discriminator of patches (Isola et al. 2017; hinge loss).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from ..pictures.rendered_pictures import Renders
from ..training.train_loop import Budget, device_of, train
from .vae import (
    colour_difference,
    crops,
    edge_loss,
    hard_first,
    recoloured,
    reconstruction_loss,
    to_tensor,
)

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import AutoencoderKL


def discriminator(width: int = 32) -> nn.Sequential:
    """Scores (N, 1, H / 4, W / 4) of patches of 22 px: high for pictures, low for decoded ones."""
    return nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 2 * width, 3, 1, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 3, 1, 1),
    )


def adversarial_losses(
    judge: nn.Module, real: torch.Tensor, drawn: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(the decoder's loss, the discriminator's loss); each gives gradients to its side alone."""
    frozen = {name: weight.detach() for name, weight in judge.named_parameters()}
    fooled = -functional_call(judge, frozen, (drawn,)).mean()
    told_apart = F.relu(1 - judge(real)).mean() + F.relu(1 + judge(drawn.detach())).mean()
    return fooled, told_apart


def fit(
    vae: AutoencoderKL,
    renders: Renders,
    *,
    workdir: Path,
    budget: Budget,
    batch: int = 8,
    side: int = 96,
    adversarial: float = 0.03,
) -> None:
    """Train the decoder in place.

    Args:
        vae: Finished but for its decoder.
        renders: What to learn from; hard colours are seen four times as often.
        workdir: Where the state is kept.
        budget: How long.
        batch: Cut-outs a step.
        side: Their pixels.
        adversarial: Weight of the discriminator's say, after a tenth of the warm-up's length of
            steps times ten: it must have learned something first.
    """
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    device = device_of(vae)
    judge = discriminator().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    chances = hard_first(renders)

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        pictures, where = crops(renders, rng, batch, side, chances=chances, whole=0.25)
        x = recoloured(to_tensor(pictures).to(device), rng)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                z = vae.encode(x).latent_dist.mode()
            y = vae.decode(z).sample.float()
            fooled, told_apart = adversarial_losses(judge, x, y)
        colours = colour_difference(x, y, torch.from_numpy(where).to(device) + 0.1)
        edges = edge_loss(x, y)
        say = adversarial * min(1.0, step / (10 * budget.warmup))
        loss = reconstruction_loss(x, y) + 2.0 * edges + 2.0 * colours
        return loss + say * fooled.float() + told_apart.float(), {
            "psnr": float(10 * np.log10(4 / (y - x).square().mean().item())),
            "colours": 100 * colours.item(),
            "edges": edges.item(),
            "judge": told_apart.item(),
        }

    groups = [
        {"params": [p for p in vae.parameters() if p.requires_grad], "scale": 1.0},
        {"params": list(judge.parameters()), "scale": 0.7},
    ]
    train(
        "decoder",
        workdir=workdir,
        modules={"vae": vae, "judge": judge},
        loss_fn=loss_fn,
        budget=budget,
        seed=11,
        param_groups=groups,
    )


def slopes(x: torch.Tensor) -> torch.Tensor:
    """Gradient magnitude (N, H, W) of pictures (N, 3, H, W), mean over the channels."""
    dx = F.pad(x, (0, 1, 0, 0), mode="replicate").diff(dim=3)
    dy = F.pad(x, (0, 0, 0, 1), mode="replicate").diff(dim=2)
    return (dx.square() + dy.square()).sqrt().mean(1)


@torch.no_grad()
def gate(vae: AutoencoderKL, renders: Renders, count: int = 256) -> dict[str, Any]:
    """What the decoder is judged by, in the products of held-out pictures.

    Returns `psnr`, dB; `sharpness` by class, mean slope against that of the original; `colours`
    by colour word, mean CIE94 difference. Near 1 and below 5 is good.
    """
    sharp: dict[str, list[float]] = {}
    colours: dict[str, list[float]] = {}
    psnr = []
    device = device_of(vae)
    for i in range(min(count, len(renders))):
        x = to_tensor(renders.images[i : i + 1]).to(device)
        y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
        psnr.append(10 * np.log10(4 / (y - x).square().mean().item()))
        steep, steep_again = slopes(x)[0].cpu().numpy(), slopes(y)[0].cpu().numpy()
        for product in renders.meta[i]["products"]:
            seen = np.array(renders.instances[i] == product["instance"])
            ratio = steep_again[seen].mean() / max(1e-6, steep[seen].mean())
            sharp.setdefault(product["label"], []).append(float(ratio))
            weight = torch.from_numpy(seen[None, None].astype(np.float32)).to(device)
            off = 100 * colour_difference(x, y, weight).item()
            colours.setdefault(product["colour"], []).append(off)
    return {
        "psnr": round(float(np.mean(psnr)), 2),
        "sharpness": {k: round(float(np.mean(v)), 2) for k, v in sorted(sharp.items())},
        "colours": {k: round(float(np.mean(v)), 1) for k, v in sorted(colours.items())},
    }
