"""The small depth estimator: a DPT on a Swin backbone, learned from the studio's exact depth.

It is shown what stage 3 shows it, whole pictures and close-ups, and gives nearness as MiDaS does:
it grows towards the camera, up to scale and shift. Here it is spread over each crop, 0..1.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from ..pictures.augment import soften
from ..pictures.rendered_pictures import Renders
from ..training.train_loop import Budget, device_of, train
from .latents import Cut
from .vae import to_tensor

if TYPE_CHECKING:
    from transformers import DPTForDepthEstimation


def build(size: int = 128, width: int = 24, fusion: int = 24) -> DPTForDepthEstimation:
    """A fresh DPT of about 1 M parameters, in the layout of `Intel/dpt-swinv2-tiny-256`."""
    from transformers import DPTConfig, DPTForDepthEstimation, Swinv2Config

    backbone = Swinv2Config(
        image_size=size,
        patch_size=8,  # maps of half the picture's size: a step takes a fifth of the time
        embed_dim=width,
        depths=[1, 1, 2, 1],
        num_heads=[2, 4, 4, 8],
        window_size=4,
        drop_path_rate=0.0,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return DPTForDepthEstimation(
        DPTConfig(
            backbone_config=backbone,
            neck_hidden_sizes=[width, 2 * width, 4 * width, 8 * width],
            fusion_hidden_size=fusion,
            use_bias_in_fusion_residual=True,
            reassemble_factors=[],
            add_projection=False,
        )
    )


def nearness(depth: np.ndarray) -> np.ndarray:
    """Inverse camera distance (h, w), spread over 0..1 within the crop."""
    near = 1.0 / np.maximum(depth.astype(np.float32), 1e-3)
    low, high = float(near.min()), float(near.max())
    return (near - low) / max(high - low, 1e-6)


def cut_depth(renders: Renders, cut: Cut) -> np.ndarray:
    """The exact nearness of a cut, float32 at its side."""
    x0, y0, x1, y1 = cut.box
    near = nearness(np.array(renders.depth[cut.index, y0:y1, x0:x1]))
    near = cv2.resize(near, (cut.side, cut.side), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(near[:, ::-1]) if cut.mirrored else near


def depth_loss(guess: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Absolute error of (N, H, W) maps and of their slopes at three scales."""
    loss = (guess - truth).abs().mean()
    for scale in (1, 2, 4):
        d = F.avg_pool2d((guess - truth)[:, None], scale)
        slopes = (d[..., 1:] - d[..., :-1]).abs().mean() + (d[:, :, 1:] - d[:, :, :-1]).abs().mean()
        loss = loss + 0.5 * slopes
    return loss


def fit(
    model: DPTForDepthEstimation,
    renders: Renders,
    cuts: list[Cut],
    *,
    workdir: Path,
    budget: Budget,
    batch: int = 16,
) -> None:
    """Train on softened cuts: at run time the model also sees what a diffusion model drew."""
    from .latents import cut_image

    device = device_of(model)

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        pick = [cuts[int(k)] for k in rng.integers(len(cuts), size=batch)]
        x = to_tensor(np.stack([soften(cut_image(renders, c), rng) for c in pick])).to(device)
        truth = torch.from_numpy(np.stack([cut_depth(renders, c) for c in pick])).to(device)
        guess = model(pixel_values=x).predicted_depth
        truth = F.interpolate(truth[:, None], guess.shape[-2:], mode="area")[:, 0]
        return depth_loss(guess, truth), {"error": (guess - truth).abs().mean().item()}

    train("depth", workdir=workdir, modules={"dpt": model}, loss_fn=loss_fn, budget=budget, seed=10)


@torch.no_grad()
def evaluate(model: DPTForDepthEstimation, renders: Renders, count: int) -> dict[str, float]:
    """On whole held-out pictures: mean absolute error of nearness 0..1, and delta < 1.25."""
    errors, close = [], []
    for i in range(min(count, len(renders))):
        x = to_tensor(renders.images[i : i + 1]).to(device_of(model))
        truth = nearness(np.array(renders.depth[i]))
        guess = model(pixel_values=x).predicted_depth[0].cpu().numpy()
        guess = cv2.resize(guess, truth.shape[::-1], interpolation=cv2.INTER_CUBIC)
        errors.append(float(np.abs(guess - truth).mean()))
        a, b = guess + 0.1, truth + 0.1
        close.append(float((np.maximum(a / b, b / a) < 1.25).mean()))
    return {"error": float(np.mean(errors)), "delta_1.25": float(np.mean(close))}


def export(model: DPTForDepthEstimation, folder: Path, size: int = 128) -> None:
    """Write model (fp16) and image processor as the hub lays them out."""
    from transformers import DPTImageProcessor

    model.half().save_pretrained(folder)
    model.float()
    DPTImageProcessor(
        size={"height": size, "width": size},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    ).save_pretrained(folder)
