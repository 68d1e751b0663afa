"""The loss of a diffusion model's step. Pure arithmetic on tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def draw(
    generators: Sequence[torch.Generator],
    shape: Sequence[int],
    steps: int,
    noise_offset: float,
    first: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(noise (N, *shape), time steps int (N,) from `first` to below `steps`), each picture's from
    its own generator."""
    import torch

    noise, times = [], []
    for generator in generators:
        one = torch.randn(tuple(shape), generator=generator)
        if noise_offset:  # https://www.crosslabs.org/blog/diffusion-with-offset-noise
            one = one + noise_offset * torch.randn((shape[0], 1, 1), generator=generator)
        noise.append(one)
        times.append(torch.randint(first, steps, (1,), generator=generator))
    return torch.stack(noise), torch.cat(times)


def target(scheduler: Any, latents: Any, noise: Any, times: Any) -> torch.Tensor:
    """What the model should say: the noise, or the velocity."""
    if scheduler.config.prediction_type == "v_prediction":
        found: torch.Tensor = scheduler.get_velocity(latents, noise, times)
        return found
    return noise  # type: ignore[no-any-return]


def snr_weights(scheduler: Any, times: torch.Tensor, gamma: float | None) -> torch.Tensor:
    """Min-SNR-γ (arXiv:2303.09556, section 3.4) of each step; ones where gamma is None.

    min(SNR, γ) / SNR for noise, min(SNR, γ) / (SNR + 1) for velocity.
    """
    import torch
    from diffusers.training_utils import compute_snr

    if gamma is None:
        return torch.ones(times.shape, device=times.device)
    snr = compute_snr(scheduler, times)
    least = snr.clamp(max=gamma)
    if scheduler.config.prediction_type == "v_prediction":
        return least / (snr + 1)
    return torch.where(snr > 0, least / snr.clamp(min=1e-12), torch.ones_like(snr))


def each(
    said: torch.Tensor, wanted: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Squared error of each picture, float32 (N,). `mask`: (N, 1, h, w), 0 to 1, multiplied in."""
    error = (said.float() - wanted.float()) ** 2
    if mask is not None:
        error = error * mask
    return error.flatten(1).mean(1)
