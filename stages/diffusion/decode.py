"""Decodes latents, picture by picture, in tiles where memory is short and in float32 where the VAE
overflows, and runs the safety checker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...configs.errors import VisualsError, is_out_of_memory
from ..accel import memory
from ..shot import Skip

TILE = 512
"""Side in pixels of the largest tile that a VAE decodes or encodes at once where memory is short.
diffusers' own is the size the VAE was trained at: 1024 for SDXL, which spares nothing there."""

FLAGGED = Skip("flagged", "the safety checker flagged the picture; try another seed")


class NotANumberError(VisualsError):
    """A model's output is not a number; the message says which model, and what to do."""


@dataclass(frozen=True)
class Decoded:
    """A picture. `image`: float32 (H, W, 3), 0..1; `error`: why there is none that can be shown;
    `flagged`: by the safety checker; `upcast`: it took the VAE in float32; `moved`: pixels by which
    an edit model moved what should stay, None where that is not known."""

    image: np.ndarray
    flagged: bool = False
    upcast: bool = False
    error: str = ""
    moved: float | None = None

    @property
    def pixels(self) -> np.ndarray:
        """uint8 (H, W, 3); raises NotANumber where there are none."""
        if self.error:
            raise NotANumberError(self.error)
        return np.rint(self.image * 255).clip(0, 255).astype(np.uint8)

    def with_pixels(self, pixels: np.ndarray) -> Decoded:
        """The same with other pixels, uint8 (H, W, 3)."""
        return replace(self, image=pixels.astype(np.float32) / 255)


def decode(pipe: Any, latents: Any, *, overflows: bool = False) -> list[Decoded]:
    """The pictures of a pipeline's latents (N, channels, h, w).

    What is not finite in the VAE's own dtype is decoded once more in float32. The pipeline's
    safety checker, where it has one, looks at each picture. `overflows`: the VAE is known to, in
    float16, and decodes in float32 at once.
    """
    import torch

    vae = pipe.vae
    unscaled = _unscaled(vae.config, latents)
    lost = _not_finite(latents)
    images = _decoded(vae, unscaled, torch.float32 if overflows and _half(vae) else vae.dtype)
    bad = _not_finite(images)
    upcast = bad & ~lost
    if upcast.any() and vae.dtype != torch.float32:
        images = images.float()
        images[upcast] = _decoded(vae, unscaled[upcast], torch.float32)
        bad = _not_finite(images)
    else:
        upcast = torch.zeros_like(upcast)
    flags = _flags(pipe, images.nan_to_num(0, 0, 0))
    arrays = (images.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return [
        Decoded(array, bool(f), bool(u), _why(bool(n), bool(g), bool(u)))
        for array, f, u, n, g in zip(arrays, flags, upcast, bad, lost, strict=True)
    ]


def _why(bad: bool, lost: bool, upcast: bool) -> str:
    if lost:
        return "the model gave not-a-number; try --set run.dtype=float32, or another sampler"
    if bad:
        tried = ", in float32 also" if upcast else ""
        return f"the VAE gave not-a-number{tried}; name another with --set generate.vae=…"
    return ""


def _half(vae: Any) -> bool:
    import torch

    return bool(vae.dtype == torch.float16)


def _not_finite(x: Any) -> Any:
    """bool (N,): True where an entry holds a value that is not finite."""
    return ~x.isfinite().flatten(1).all(1)


def _unscaled(config: Any, latents: Any) -> Any:
    """Latents as the VAE's decoder takes them."""
    import torch

    mean, std = config.get("latents_mean"), config.get("latents_std")
    if mean is None or std is None:
        return latents / config.scaling_factor + (config.get("shift_factor") or 0)
    mean, std = (torch.tensor(v).view(1, -1, 1, 1).to(latents) for v in (mean, std))
    return latents * std / config.scaling_factor + mean


def use_tiles(vae: Any, on: bool = True) -> None:
    """Let a VAE work in overlapping tiles of at most `TILE` pixels, or whole again."""
    if not on:
        vae.disable_tiling()
        return
    vae.enable_tiling()
    if not hasattr(vae, "tile_latent_min_size"):  # Qwen-Image's, of 256 pixels
        return
    scale = vae.tile_sample_min_size / vae.tile_latent_min_size
    vae.tile_sample_min_size = min(vae.tile_sample_min_size, TILE)
    vae.tile_latent_min_size = int(vae.tile_sample_min_size / scale)


def _decoded(vae: Any, latents: Any, dtype: Any) -> Any:
    """Pictures (N, 3, H, W), -1..1, by the VAE in a dtype; it is in its own again after."""
    import torch

    original = vae.dtype
    if dtype != original:
        vae.to(dtype)
    try:
        return torch.cat([_one(vae, latent.to(dtype)) for latent in latents.split(1)])
    finally:
        if dtype != original:
            vae.to(original)


def _one(vae: Any, latent: Any) -> Any:
    """A picture (1, 3, H, W); the first one that does not fit into memory has it and all later ones
    decoded in tiles, so that no denoising is repeated."""
    try:
        return vae.decode(latent, return_dict=False)[0]
    except Exception as error:
        if vae.use_tiling or not is_out_of_memory(error):
            raise
    memory.give_back()  # outside of `except`: the error's frames hold what is to be given back
    use_tiles(vae)
    return vae.decode(latent, return_dict=False)[0]


def _flags(pipe: Any, images: Any) -> list[bool]:
    """Whether the safety checker flags each picture; False without a checker."""
    if getattr(pipe, "safety_checker", None) is None:
        return [False] * len(images)
    dtype = next(pipe.safety_checker.parameters()).dtype
    _, flags = pipe.run_safety_checker(images.clone(), images.device, dtype)
    return [bool(flag) for flag in flags]
