"""FLUX.1: schnell and dev, flow-matching transformers that read T5."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from ..diffusion.family import Family
from ..diffusion.samplers import UnknownSamplerError
from ..prompts import emphasis

if TYPE_CHECKING:
    import torch

_SAMPLERS: dict[str, dict[str, Any]] = {
    "Euler": {},
    "Euler Karras": {"use_karras_sigmas": True},
    "Euler Exponential": {"use_exponential_sigmas": True},
    "Euler Beta": {"use_beta_sigmas": True},
}
"""A1111's names, and what they change of the flow-matching Euler scheduler of diffusers."""


class Flux(Family):
    """A transformer over latents that are packed two by two, led by T5's hidden states and CLIP's
    pooled output. It is distilled: guidance is an input, and there is no negative prompt."""

    pipelines = "Flux"
    multiple = 16
    sampler_names = tuple(_SAMPLERS)
    unused: ClassVar = {
        "generate.negative_prompt": "FLUX.1 is drawn without a negative prompt",
        "rerender.negative_prompt": "FLUX.1 is drawn without a negative prompt",
        "generate.clip_skip": "FLUX.1 does not read CLIP's layers",
        "generate.cache_interval": "DeepCache is for UNets",
        "rerender.cache_interval": "DeepCache is for UNets",
        "generate.embedding_dirs": "textual inversions are for CLIP",
    }
    refused: ClassVar = {
        "refiner": "an SDXL refiner does not go on with FLUX.1's latents",
        "generate.ip_adapter.references": "the IP-Adapter of Stable Diffusion does not fit FLUX.1",
    }

    def scheduler(self, sampler: str, config: Any) -> Any:
        from diffusers import FlowMatchEulerDiscreteScheduler

        if sampler not in _SAMPLERS:
            raise UnknownSamplerError(
                f"sampler {sampler!r} is not for FLUX.1: expected one of {', '.join(_SAMPLERS)}"
            )
        return FlowMatchEulerDiscreteScheduler.from_config(config, **_SAMPLERS[sampler])

    def encode(
        self,
        pipe: Any,
        prompts: Sequence[str],
        negatives: Sequence[str],
        *,
        clip_skip: int | None = None,
        library: EmbeddingLibrary = NO_EMBEDDINGS,
    ) -> dict[str, torch.Tensor]:
        """Each prompt alone, so that it does not depend on its batch; weights are left out."""
        import torch

        texts = {prompt: _plain(prompt) for prompt in dict.fromkeys(prompts)}
        known = {prompt: pipe.encode_prompt(text, text) for prompt, text in texts.items()}
        return {
            "prompt_embeds": torch.cat([known[prompt][0] for prompt in prompts]),
            "pooled_prompt_embeds": torch.cat([known[prompt][1] for prompt in prompts]),
        }

    def between_steps(self, pipe: Any, encoded: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """T5's alone: the pipelines keep the first pooled output."""
        return {"prompt_embeds": encoded["prompt_embeds"]}

    def noise_shape(self, pipe: Any, size_wh: tuple[int, int]) -> tuple[int, int, int]:
        width, height = (side // self.multiple * 2 for side in size_wh)
        return pipe.transformer.config.in_channels // 4, height, width

    def draw(self, pipe: Any, size_wh: tuple[int, int], **arguments: Any) -> torch.Tensor:
        width, height = size_wh
        noise, hints = arguments.get("latents"), arguments.get("control_image")
        if noise is not None:
            arguments["latents"] = pipe._pack_latents(noise, *noise.shape)
        if isinstance(hints, list):  # encoded by the VAE, as pictures are
            arguments["control_image"] = [hint * 2 - 1 for hint in hints]
            arguments["control_mode"] = [None] * len(hints)
        elif hints is not None:
            arguments["control_image"] = hints * 2 - 1
        packed = super().draw(pipe, size_wh, **arguments)
        latents: torch.Tensor = pipe._unpack_latents(packed, height, width, pipe.vae_scale_factor)
        return latents

    def accelerate(self, pipe: Any) -> None:
        """All is used."""


def _plain(prompt: str) -> str:
    """A prompt without A1111's attention, whose weights T5 does not take."""
    pieces = [piece for piece in emphasis.parse(prompt) if piece != emphasis.BREAK]
    if any(piece.weight != 1 for piece in pieces):
        _warn_of_weights()
    return "".join(piece.text for piece in pieces)


@functools.cache
def _warn_of_weights() -> None:
    logging.getLogger(__name__).warning(
        "visuals: warning: FLUX.1 does not take weights, as in (word:1.2): the words are read alone"
    )
