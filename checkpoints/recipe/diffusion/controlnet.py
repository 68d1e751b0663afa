"""The small ControlNets, on Canny edges and on exact depth, learned on the frozen UNet.

Starts as a copy of the UNet's encoder with zero convolutions (Zhang et al. 2023).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..training.train_loop import Budget, device_of, train
from .denoiser import noised, schedule, tokens
from .depth import cut_depth
from .latents import Pictures

if TYPE_CHECKING:
    from diffusers import ControlNetModel, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

CANNY = (60, 140)
"""Thresholds; the preset `mini` uses the same."""


def build(net: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet that changes nothing yet, with the UNet's own encoder weights."""
    from diffusers import ControlNetModel

    control = ControlNetModel.from_unet(
        net, conditioning_channels=3, conditioning_embedding_out_channels=(8, 16, 32, 64)
    )
    # Its last convolution is zero too, and behind it the others learn nothing for long.
    torch.nn.init.normal_(control.controlnet_cond_embedding.conv_out.weight, std=0.02)
    return control


def edges(images: np.ndarray) -> torch.Tensor:
    """Canny maps of uint8 (N, H, W, 3) pictures: float (N, 3, H, W), 0 or 1."""
    import cv2

    maps = [cv2.Canny(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY), *CANNY) for i in images]
    x = torch.from_numpy(np.stack(maps)).float()[:, None] / 255
    return x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def depths(pictures: Pictures, pick: np.ndarray) -> torch.Tensor:
    """Exact nearness of the picked cuts: float (N, 3, H, W), 0..1."""
    maps = [cut_depth(pictures.renders, pictures.cuts[int(k)]) for k in pick]
    x = torch.from_numpy(np.stack(maps))[:, None]
    return x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def spotty(hint: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Hints (N, 3, H, W) with holes, one in ten gone altogether; what is missing is made up.

    A ControlNet that has seen complete hints only copies what is left of a picture whose edges
    are faint, and fails where they stop.
    """
    hint = hint.clone()
    height, width = hint.shape[2:]
    for k in range(len(hint)):
        if rng.random() < 0.1:
            hint[k] = 0
        for _ in range(int(rng.integers(0, 4))):
            h, w = (rng.uniform(0.05, 0.35, 2) * (height, width)).astype(int)
            y, x = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
            hint[k, :, y : y + h, x : x + w] = 0
    return hint


def hints(kind: str, pictures: Pictures, pick: np.ndarray) -> torch.Tensor:
    """Control maps of a `kind`, canny or depth, of the picked cuts."""
    if kind == "depth":
        return depths(pictures, pick)
    return edges(np.stack([pictures.image(int(i)) for i in pick]))


def fit(
    control: ControlNetModel,
    net: UNet2DConditionModel,
    text: CLIPTextModel,
    tok: CLIPTokenizer,
    pictures: Pictures,
    *,
    workdir: Path,
    budget: Budget,
    batch: int = 8,
    seed: int = 3,
    kind: str = "canny",
    recoloured: Pictures | None = None,
) -> None:
    """Train the ControlNet; half of the captions are dropped, so that it learns to lead alone.

    The error of v counts the same at all times: weighted as for the UNet, what is almost noise,
    where hints say the most, would count next to nothing.

    Args:
        control: From `build`.
        net: The UNet, frozen.
        text: The text encoder, frozen.
        tok: Its tokenizer.
        pictures: What to draw.
        workdir: Where the state is kept.
        budget: How long.
        batch: Pictures a step.
        seed: Decides everything.
        kind: Of the hints, canny or depth.
        recoloured: The same shapes in other colours, drawn half of the time by the hints of
            `pictures.renders` and always with their captions: so edges say nothing of colour.
    """
    from diffusers.models.attention_processor import AttnProcessor

    device = device_of(net)
    ids = tokens(tok, pictures.captions).to(device)
    other_ids = tokens(tok, recoloured.captions).to(device) if recoloured else None
    empty = tokens(tok, [""])[0].to(device)
    noise_schedule = schedule()
    net.requires_grad_(False).eval()
    text.requires_grad_(False).eval()
    control.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for model in (net, control):
        model.set_attn_processor(AttnProcessor())  # faster backwards, see `denoiser.fit`

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        other = recoloured is not None and bool(rng.random() < 0.5)
        drawn, known = (recoloured, other_ids) if other else (pictures, ids)
        assert drawn is not None and known is not None
        pick = rng.integers(len(drawn), size=batch)
        z = drawn.latents[torch.from_numpy(pick)].float().to(device)
        led = replace(drawn, renders=pictures.renders)
        hint = spotty(hints(kind, led, pick), rng).to(device)
        words = known[torch.from_numpy(pick).to(device)].clone()
        if not other:
            words[torch.from_numpy(rng.random(batch) < 0.5)] = empty
        noisy, noise, times = noised(noise_schedule, z, rng)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                hidden = text(words).last_hidden_state
            down, mid = control(noisy, times, hidden, controlnet_cond=hint, return_dict=False)
            out = net(
                noisy,
                times,
                hidden,
                down_block_additional_residuals=down,
                mid_block_additional_residual=mid,
            ).sample
        target = noise_schedule.get_velocity(z, noise, times)
        return (out.float() - target).square().mean(), {}

    new = [p for n, p in control.named_parameters() if n.startswith("controlnet_")]
    copied = [p for n, p in control.named_parameters() if not n.startswith("controlnet_")]
    train(
        f"controlnet-{kind}",
        workdir=workdir,
        modules={"controlnet": control},
        loss_fn=loss_fn,
        budget=budget,
        seed=seed,
        param_groups=[{"params": new, "scale": 3.0}, {"params": copied, "scale": 1.0}],
    )
