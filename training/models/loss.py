"""Loss of a diffusion training step: noise, targets, min-SNR weights, squared error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def draw_noise(
    generators: Sequence[torch.Generator], shape: Sequence[int], noise_offset: float
) -> torch.Tensor:
    """Draw noise (N, *shape), each picture's from its own generator.

    Args:
        generators: One a picture, N in all.
        shape: Of a latent: (channels, h, w).
        noise_offset: Standard deviation of an offset of a whole channel
            (https://www.crosslabs.org/blog/diffusion-with-offset-noise); 0 is none.
    """
    import torch

    noise = []
    for generator in generators:
        one = torch.randn(tuple(shape), generator=generator)
        if noise_offset:
            one = one + noise_offset * torch.randn((shape[0], 1, 1), generator=generator)
        noise.append(one)
    return torch.stack(noise)


def draw_steps(generators: Sequence[torch.Generator], steps: int, first: int = 0) -> torch.Tensor:
    """Draw time steps, int (N,), from `first` to below `steps`."""
    import torch

    return torch.cat([torch.randint(first, steps, (1,), generator=g) for g in generators])


def target(scheduler: Any, latents: Any, noise: Any, times: Any) -> torch.Tensor:
    """Target of the prediction: the noise, or the velocity."""
    if scheduler.config.prediction_type == "v_prediction":
        velocity: torch.Tensor = scheduler.get_velocity(latents, noise, times)
        return velocity
    return noise  # type: ignore[no-any-return]


def snr_weights(scheduler: Any, times: torch.Tensor, gamma: float | None) -> torch.Tensor:
    """Min-SNR-γ weights (arXiv:2303.09556, section 3.4); ones if gamma is None.

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


def squared_errors(
    prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean squared error of each picture, float32 (N,). `mask`: weights (N, 1, h, w), 0 to 1."""
    error = (prediction.float() - target.float()) ** 2
    if mask is not None:
        error = error * mask
    return error.flatten(1).mean(1)
