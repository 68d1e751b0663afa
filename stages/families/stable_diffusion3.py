"""Stable Diffusion 3 and 3.5, flow-matching transformers that read two CLIPs and T5."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from ...checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from . import flow_matching, masked_start

if TYPE_CHECKING:
    import torch


class StableDiffusion3(flow_matching.FlowMatching):
    """A transformer led by the hidden states of CLIP and T5, and by CLIP's pooled output."""

    pipelines = "StableDiffusion3"
    name = "Stable Diffusion 3"
    unused: ClassVar = {
        **flow_matching.unused(name),
        "generate.clip_skip": f"{name} always reads CLIP's last layer but one",
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

        known = {}
        for text in dict.fromkeys((*prompts, *negatives)):
            plain = self.plain(text)
            encoded = pipe.encode_prompt(plain, plain, plain, do_classifier_free_guidance=False)
            known[text] = {"prompt_embeds": encoded[0], "pooled_prompt_embeds": encoded[2]}
        return {
            f"{prefix}{name}": torch.cat([known[text][name] for text in texts])
            for prefix, texts in (("", prompts), ("negative_", negatives))
            for name in ("prompt_embeds", "pooled_prompt_embeds")
        }

    def between_steps(self, pipe: Any, encoded: dict[str, Any]) -> dict[str, Any]:
        """The hidden states alone, negative ones first under guidance: the pipelines keep the first
        pooled output."""
        import torch

        parts = [encoded["prompt_embeds"]]
        if pipe.do_classifier_free_guidance:
            parts.insert(0, encoded["negative_prompt_embeds"])
        return {"prompt_embeds": torch.cat(parts)}

    def draw(self, pipe: Any, size_wh: tuple[int, int], **arguments: Any) -> torch.Tensor:
        if "mask_image" in arguments:
            arguments = self._masked(pipe, size_wh, arguments)
        return super().draw(pipe, size_wh, **arguments)

    def _masked(
        self, pipe: Any, size_wh: tuple[int, int], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Arguments of the ControlNet pipeline, which takes neither picture, mask nor strength."""
        device = pipe._execution_device
        pipe.scheduler.set_timesteps(arguments["num_inference_steps"], device=device)
        begun = masked_start.arguments(
            pipe,
            size_wh,
            image=arguments.pop("image"),
            mask_image=arguments.pop("mask_image"),
            generator=arguments["generator"],
            strength=arguments.pop("strength"),
            callback_on_step_end=arguments.get("callback_on_step_end"),
        )
        pipe.__dict__["vae"] = _Means(pipe.vae)  # the setter would look for its class in diffusers
        hints = arguments["control_image"]
        several = isinstance(hints, list)
        encoded = [hint * 2 - 1 for hint in hints] if several else hints * 2 - 1
        return {**arguments, **begun, "control_image": encoded}


class _Means:
    """A VAE that encodes to the mean: the ControlNet pipeline draws a hint's latents from torch's
    own random numbers, so that a seed would not tell the picture."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)

    def encode(self, pixels: Any) -> Any:
        latents = self._vae.encode(pixels).latent_dist
        return SimpleNamespace(latent_dist=SimpleNamespace(sample=latents.mode))
