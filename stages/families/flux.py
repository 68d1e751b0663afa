"""FLUX.1: schnell, dev, Fill and Kontext, flow-matching transformers that read T5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from . import flow_matching

if TYPE_CHECKING:
    import numpy as np
    import torch


class Flux(flow_matching.FlowMatching):
    """A transformer over latents that are packed two by two, led by T5's hidden states and CLIP's
    pooled output. It is distilled: guidance is an input, and there is no negative prompt."""

    pipelines = "Flux"
    packed = 4
    name = "FLUX.1"
    unused: ClassVar = {
        "generate.negative_prompt": "FLUX.1 is drawn without a negative prompt",
        "rerender.negative_prompt": "FLUX.1 is drawn without a negative prompt",
        **flow_matching.unused(name),
    }
    refused: ClassVar = flow_matching.refused(name)

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

        texts = {prompt: self.plain(prompt) for prompt in dict.fromkeys(prompts)}
        known = {prompt: pipe.encode_prompt(text, text) for prompt, text in texts.items()}
        return {
            "prompt_embeds": torch.cat([known[prompt][0] for prompt in prompts]),
            "pooled_prompt_embeds": torch.cat([known[prompt][1] for prompt in prompts]),
        }

    def between_steps(self, pipe: Any, encoded: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """T5's alone: the pipelines keep the first pooled output."""
        return {"prompt_embeds": encoded["prompt_embeds"]}

    def takes_guidance(self, transformer: Mapping[str, Any]) -> bool:
        """Not schnell's, which was distilled without."""
        return bool(transformer.get("guidance_embeds", True))

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

    def edit(
        self, pipe: Any, image: np.ndarray, instruction: str, negative: str, **arguments: Any
    ) -> torch.Tensor:
        """By Kontext, at the picture's own size: at another one what it draws would be moved."""
        from PIL import Image

        height, width = image.shape[:2]
        return self.draw(
            pipe,
            (width, height),
            image=Image.fromarray(image),
            prompt=self.plain(instruction),
            max_area=width * height,
            _auto_resize=False,
            **arguments,
        )
