"""The small VAE: AutoencoderKL, 8x smaller each way, 4 latent channels of mean 0 and variance 1.

Learned first: it bounds the sharpness and the colours of everything after it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from ..pictures.rendered_pictures import Renders
from ..training.train_loop import Budget, device_of, train

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


def build(channels: tuple[int, ...] = (16, 32, 64, 96), sample_size: int = 128) -> AutoencoderKL:
    """A fresh VAE."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=channels,
        down_block_types=["DownEncoderBlock2D"] * len(channels),
        up_block_types=["UpDecoderBlock2D"] * len(channels),
        layers_per_block=1,
        norm_num_groups=1,  # more groups lose the mean colour: see docs/decisions
        sample_size=sample_size,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in -1..1, channels last."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
    return (x / 127.5 - 1).contiguous(memory_format=torch.channels_last)


# orthonormal opponent colours: lightness, red-green, yellow-blue
_OPPONENT = torch.tensor(
    [
        [0.57735, 0.57735, 0.57735],
        [0.70711, -0.70711, 0.0],
        [0.40825, 0.40825, -0.81650],
    ]
)


def _opponent(x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("oc,nchw->nohw", _OPPONENT.to(x), x)


def reconstruction_loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Squared error with chroma weighed more, also of 8x pooled pictures, plus absolute error.

    The squared part is what PSNR measures; the pooled chroma keeps colour words apart.
    """
    d = _opponent(y - x)
    w = d.new_tensor([1.0, 1.5, 1.5]).view(1, 3, 1, 1)
    pooled = F.avg_pool2d(d, 8)
    return (
        4.0 * (w * d.square()).mean()
        + 6.0 * (w * w * pooled.square()).mean()
        + 0.25 * (w * d.abs()).mean()
        + 0.25 * (w * w * pooled.abs()).mean()
    )


def edge_loss(x: torch.Tensor, y: torch.Tensor, scales: int = 3) -> torch.Tensor:
    """Absolute error of the slopes of pictures, at full size and halved `scales` - 1 times."""
    d = y - x
    loss = d.new_zeros(())
    for k in range(scales):
        if k:
            d = F.avg_pool2d(d, 2)
        loss = loss + d.diff(dim=3).abs().mean() + d.diff(dim=2).abs().mean()
    return loss / scales


def _lab(x: torch.Tensor) -> torch.Tensor:
    """CIELAB (D65) over 100, of sRGB (N, 3, H, W) in -1..1."""
    v = ((x.clamp(-1, 1) + 1) / 2).clamp(min=1e-4)
    v = torch.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    xyz = torch.einsum("oc,nchw->nohw", _XYZ.to(x), v)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
    f0, f1, f2 = f.unbind(1)
    return torch.stack([1.16 * f1 - 0.16, 5 * (f0 - f1), 2 * (f1 - f2)], 1)


_XYZ = torch.tensor(
    [
        [0.43395, 0.37622, 0.18983],
        [0.21267, 0.71515, 0.07217],
        [0.01776, 0.10947, 0.87277],
    ]
)
"""sRGB to XYZ relative to the white point (IEC 61966-2-1)."""


def colour_difference(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted mean CIE94 difference (CIE 116-1995) over 100 of pictures (N, 3, H, W) in -1..1.

    A smooth stand-in for CIEDE2000, which the VAE is measured by; weight (N, 1, H, W).
    """
    a, b = _lab(x), _lab(y)
    ca, cb = (t[:, 1:].square().sum(1, keepdim=True).add(1e-8).sqrt() for t in (a, b))
    d = b - a
    dc = cb - ca
    dh2 = (d[:, 1:].square().sum(1, keepdim=True) - dc.square()).clamp(min=0)
    parts = d[:, :1].square() + (dc / (1 + 4.5 * ca)).square() + dh2 / (1 + 1.5 * ca).square()
    return ((parts + 1e-6).sqrt() * weight).sum() / weight.sum().clamp(min=1)


def colour_anchor(x: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Squared distance of the first three latent channels to the cell's mean opponent colour.

    It gives both chroma axes a place in the latents. Without it, or with it early in training
    alone, one axis was lost for good: purple and teal came back blue (24.1 dB at 1,450 steps and
    no better later).
    """
    return (mean[:, :3] - 3.0 * _opponent(F.avg_pool2d(x, 8))).square().mean()


def recoloured(x: torch.Tensor, rng: np.random.Generator, share: float = 0.15) -> torch.Tensor:
    """A share of pictures (N, 3, H, W) in -1..1 with hue turned, saturation and lightness changed.

    The studio's palette has gaps: a slate-blue backdrop came back green (see docs/decisions).
    """
    out = x.clone()
    for k in np.flatnonzero(rng.random(len(x)) < share):
        turn, stretch = rng.uniform(-np.pi, np.pi), rng.uniform(0.2, 1.3)
        cos, sin = stretch * np.cos(turn), stretch * np.sin(turn)
        mix = x.new_tensor([[rng.uniform(0.7, 1.1), 0, 0], [0, cos, -sin], [0, sin, cos]])
        back = _OPPONENT.to(x)
        lift = rng.uniform(-0.25, 0.1)
        out[k] = torch.einsum("oc,chw->ohw", back.T @ mix @ back, x[k]) + lift
    return out.clamp(-1, 1)


HARD = ("pink", "orange", "purple", "green")
"""The colour words that came back worst on the recipe's own validation pictures."""


def hard_first(renders: Renders) -> np.ndarray:
    """Each render's chance (N,): four times as high where it shows a hard colour."""
    hard = [any(p["colour"] in HARD for p in meta["products"]) for meta in renders.meta]
    chances = np.where(hard, 4.0, 1.0)
    whole: np.ndarray = chances / chances.sum()
    return whole


def crops(
    renders: Renders,
    rng: np.random.Generator,
    count: int,
    side: int,
    *,
    chances: np.ndarray | None = None,
    whole: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Random squares uint8 (N, side, side, 3), half of them mirrored, most of them on a product,
    and where products are in them, float (N, 1, side, side).

    Args:
        renders: The pictures to cut from.
        rng: Decides everything.
        count: N.
        side: Pixels.
        chances: (len(renders),) chance of each picture; None: all alike.
        whole: Share of cut-outs that are whole pictures, made small.
    """
    out = np.empty((count, side, side, 3), np.uint8)
    where = np.empty((count, 1, side, side), np.float32)
    size = renders.images.shape[1]
    for k, i in enumerate(rng.choice(len(renders), size=count, p=chances)):
        products = renders.meta[i]["products"]
        x, y = rng.integers(0, size - side + 1, size=2)
        if products and rng.random() < 0.6:
            x0, y0, x1, y1 = products[rng.integers(len(products))]["box_xyxy"]
            cx, cy = rng.uniform(x0, x1), rng.uniform(y0, y1)
            x = int(np.clip(cx - side / 2, 0, size - side))
            y = int(np.clip(cy - side / 2, 0, size - side))
        spot = slice(y, y + side), slice(x, x + side)
        if size > side and rng.random() < whole:
            spot = slice(0, size), slice(0, size)
        cut = np.array(renders.images[i][spot])
        seen: Any = np.isin(renders.instances[i][spot], [p["instance"] for p in products])
        if len(cut) != side:
            cut = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)
            seen = cv2.resize(seen.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
        turn = slice(None, None, -1 if rng.random() < 0.5 else 1)
        out[k], where[k, 0] = cut[:, turn], seen[:, turn]
    return out, where


def fit(
    vae: AutoencoderKL,
    renders: Renders,
    *,
    workdir: Path,
    budget: Budget,
    batch: int = 8,
    side: int = 64,
    kl: float = 2e-4,
    anchor_steps: int = 800,
    seed: int = 1,
    name: str = "vae",
    near: AutoencoderKL | None = None,
) -> None:
    """Train; with `near` the latents stay close to that VAE's, so that what learned on them needs
    little to follow."""
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    device = device_of(vae)

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, Any]]:
        pictures, where = crops(renders, rng, batch, side, whole=0.25)
        x = recoloured(to_tensor(pictures).to(device), rng, share=0.3)
        with torch.autocast(device.type, torch.bfloat16):  # 2.4 times as fast on cores with AMX
            posterior = vae.encode(x).latent_dist
            y = vae.decode(posterior.sample()).sample.float()
        prior = posterior.kl().float().mean() / (side / 8) ** 2 / 4
        if near is None:
            hold = max(0.1, 1.0 - step / anchor_steps)
            pull = hold * colour_anchor(x, posterior.mean.float())
        else:
            with torch.no_grad():
                old = near.encode(x).latent_dist.mode()
            pull = 0.05 * (posterior.mean.float() - old).square().mean()
        colours = colour_difference(x, y, torch.from_numpy(where).to(device) + 0.1)
        mse = (y - x).square().mean().item()
        loss = reconstruction_loss(x, y) + 0.5 * edge_loss(x, y) + colours
        return loss + kl * prior + pull, {
            "psnr": 10 * np.log10(4 / mse),
            "colours": 100 * colours.item(),
            "kl": prior.item(),
            "pull": pull.item(),
        }

    train(
        name,
        workdir=workdir,
        modules={"vae": vae},
        loss_fn=loss_fn,
        budget=budget,
        seed=seed,
    )


@torch.no_grad()
def encode(vae: AutoencoderKL, images: np.ndarray, batch: int = 64) -> torch.Tensor:
    """Latents' means of uint8 (N, H, W, 3) pictures, float16 (N, 4, H / 8, W / 8)."""
    device = device_of(vae)
    parts = [
        vae.encode(to_tensor(images[k : k + batch]).to(device)).latent_dist.mode().half().cpu()
        for k in range(0, len(images), batch)
    ]
    return torch.cat(parts)


@torch.no_grad()
def whiten(vae: AutoencoderKL, images: np.ndarray) -> None:
    """Fold mean and deviation of each latent channel into the convolutions beside it.

    Afterwards every channel has mean 0 and deviation 1 and scaling_factor is 1: one factor for
    all channels leaves them uneven (deviations 1.1 to 2.2 were seen).
    """
    z = encode(vae, images).float().to(device_of(vae))
    mean, std = z.mean((0, 2, 3)), z.std((0, 2, 3))
    q, p = vae.quant_conv, vae.post_quant_conv
    q.weight[:4] /= std.view(4, 1, 1, 1)
    q.bias[:4] = (q.bias[:4] - mean) / std
    q.bias[4:] -= 2 * std.log()
    p.bias += (p.weight[:, :, 0, 0] * mean).sum(1)
    p.weight *= std.view(1, 4, 1, 1)


@torch.no_grad()
def psnr(vae: AutoencoderKL, images: np.ndarray) -> float:
    """Mean over pictures of the peak signal-to-noise ratio of encode and decode, dB."""
    values = []
    for k in range(0, len(images), 32):
        x = to_tensor(images[k : k + 32]).to(device_of(vae))
        y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
        values.append(10 * torch.log10(4 / (y - x).square().mean((1, 2, 3))))
    return float(torch.cat(values).mean())
