"""Strength and a mask for flow-matching pipelines that draw from noise alone.

ControlNet pipelines of diffusers for Z-Image and Stable Diffusion 3.5 take neither. As in its
inpainting pipelines, the picture with noise is what the later steps begin from, and outside of the
mask each step ends with the picture as noisy as that step.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np


def arguments(
    pipe: Any,
    size_wh: tuple[int, int],
    *,
    image: Sequence[Any],
    mask_image: Sequence[Any],
    strength: float,
    generator: Sequence[Any],
    callback_on_step_end: Any = None,
    encode: Any = None,
    pack: Any = None,
) -> dict[str, Any]:
    """Return `latents` and `callback_on_step_end` of a call; a call of `pipe` then runs the last
    steps of its scheduler's, which are set already.

    Args:
        pipe: Nobody else's, with a flow-matching scheduler.
        size_wh: Of the pictures in pixels, which are multiples of what the family's are.
        image: PIL images.
        mask_image: PIL images, white where the picture is drawn anew.
        strength: Above 0 to 1, the share of the steps that are run.
        generator: One for each picture.
        callback_on_step_end: To be called after each step, too.
        encode: From VAE, pixels and generators to latents (N, channels, h, w), as `encoded`, which
            is the default.
        pack: From latents to what the transformer takes; None where that is the same.
    """
    import torch
    from diffusers.utils.torch_utils import randn_tensor
    from torch.nn.functional import interpolate

    scheduler, device, dtype = pipe.scheduler, pipe._execution_device, pipe.transformer.dtype
    _leave_out(scheduler, strength)
    width, height = size_wh
    pixels = pipe.image_processor.preprocess(image, height=height, width=width)
    kept = (encode or encoded)(pipe.vae, pixels.to(device, dtype), generator)
    noise = randn_tensor(kept.shape, generator=generator, device=device, dtype=dtype)
    white = np.stack([np.asarray(mask.convert("L")) >= 128 for mask in mask_image])
    mask = interpolate(torch.from_numpy(white)[:, None].float(), kept.shape[-2:]).to(device, dtype)
    if pack is not None:
        kept, noise, mask = pack(kept), pack(noise), pack(mask.expand_as(kept))

    def noisy(level: Any) -> Any:
        level = level.to(device, dtype)
        return level * noise + (1.0 - level) * kept

    def blend(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        outside = noisy(scheduler.sigmas[step + 1])
        tensors["latents"] = (1 - mask) * outside + mask * tensors["latents"]
        done = callback_on_step_end
        return done(pipe, step, time, tensors) if done else tensors

    return {"latents": noisy(scheduler.sigmas[0]), "callback_on_step_end": blend}


def _leave_out(scheduler: Any, strength: float) -> None:
    """Leave out the first steps, and keep the rest when a pipeline sets them."""
    count = len(scheduler.timesteps)
    first = int(max(count - min(count * strength, count), 0))
    scheduler.timesteps = scheduler.timesteps[first:]
    scheduler.sigmas = scheduler.sigmas[first:]
    scheduler.set_begin_index(0)

    @functools.wraps(scheduler.set_timesteps)
    def keep(*args: Any, **options: Any) -> None:
        """Nothing: the steps are set."""

    scheduler.set_timesteps = keep


def encoded(vae: Any, pixels: Any, generator: Sequence[Any]) -> Any:
    """Latents (N, channels, h, w) of pixels (N, 3, H, W), -1..1, drawn by the generators."""
    import torch

    drawn = [
        vae.encode(one).latent_dist.sample(draw)
        for one, draw in zip(pixels.split(1), generator, strict=True)
    ]
    return (torch.cat(drawn) - vae.config.shift_factor) * vae.config.scaling_factor
