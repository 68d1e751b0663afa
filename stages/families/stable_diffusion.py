"""Stable Diffusion 1.x and 2.x, and SDXL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..accel import controlnet_reuse
from ..diffusion import samplers
from ..diffusion.decode import Decoded, decode
from ..diffusion.family import Family
from . import clip_embeddings

if TYPE_CHECKING:
    import torch


class StableDiffusion(Family):
    """A UNet that reads CLIP's hidden states."""

    name = "Stable Diffusion 1.x"
    pipelines = "StableDiffusion"
    multiple = 8
    sampler_names = samplers.NAMES
    trains = True
    ays_table = "StableDiffusionSigmas"
    skips_masked_with_none = False
    unused: ClassVar = {"run.weights": "models of Stable Diffusion 1.x and SDXL stay in run.dtype"}

    encode = staticmethod(clip_embeddings.encode)
    length = staticmethod(clip_embeddings.count)

    def scheduler(self, sampler: str, config: Any) -> Any:
        return samplers.scheduler(sampler, config, ays_table=self.ays_table)

    def between_steps(self, pipe: Any, encoded: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Negative ones first, under guidance."""
        import torch

        out = {}
        for name, prefix in (("prompt_embeds", ""), ("add_text_embeds", "pooled_")):
            if f"{prefix}prompt_embeds" in encoded:
                parts = [encoded[f"{prefix}prompt_embeds"]]
                if pipe.do_classifier_free_guidance:
                    parts.insert(0, encoded[f"negative_{prefix}prompt_embeds"])
                out[name] = torch.cat(parts).to(pipe.unet.dtype)
        return out

    def noise_shape(self, pipe: Any, size_wh: tuple[int, int]) -> tuple[int, int, int]:
        width, height = (side // pipe.vae_scale_factor for side in size_wh)
        return pipe.unet.config.in_channels, height, width

    def window_step(self, pipe: Any) -> int:
        """The VAE's factor times the UNet's: its skip connections fit without padding."""
        levels = len(pipe.unet.config.block_out_channels)
        return int(pipe.vae_scale_factor * 2 ** (levels - 1))

    def draw(self, pipe: Any, size_wh: tuple[int, int], **arguments: Any) -> torch.Tensor:
        if "image" in arguments and "mask_image" not in arguments:  # it has that picture's size
            latents: torch.Tensor = pipe(**arguments, output_type="latent").images
            return latents
        return super().draw(pipe, size_wh, **arguments)

    def accelerate(self, pipe: Any) -> None:
        controlnet_reuse.skip_masked_latents(pipe, takes_none=self.skips_masked_with_none)


class StableDiffusionXL(StableDiffusion):
    """Two CLIP encoders, the second one's pooled output beside them, and a refiner."""

    name = "SDXL"
    pipelines = "StableDiffusionXL"
    fixed_layer = "SDXL always reads the last layer but one, as in A1111"
    ays_table = "StableDiffusionXLSigmas"
    skips_masked_with_none = True

    def decode(self, pipe: Any, latents: torch.Tensor) -> list[Decoded]:
        return decode(pipe, latents, overflows=pipe.vae.config.get("force_upcast", False))
