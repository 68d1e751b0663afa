"""Z-Image: Turbo and base, flow-matching transformers that read Qwen3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from . import flow_matching, masked_start

if TYPE_CHECKING:
    import torch


class ZImage(flow_matching.FlowMatching):
    """A transformer over latents and the hidden states of a language model, as long as each prompt
    is. Turbo is distilled and drawn without guidance (`cfg_scale` 1)."""

    pipelines = "ZImage"
    name = "Z-Image"
    most_controls = 1
    trains = True
    unused: ClassVar = flow_matching.unused(name)
    refused: ClassVar = flow_matching.refused(name)

    def encode(
        self,
        pipe: Any,
        prompts: Sequence[str],
        negatives: Sequence[str],
        *,
        clip_skip: int | None = None,
        library: EmbeddingLibrary = NO_EMBEDDINGS,
    ) -> dict[str, Any]:
        """Lists of float (tokens, width), each prompt alone; weights are left out."""
        known = {
            text: pipe.encode_prompt(self.plain(text), do_classifier_free_guidance=False)[0][0]
            for text in dict.fromkeys((*prompts, *negatives))
        }
        return {
            "prompt_embeds": [known[text] for text in prompts],
            "negative_prompt_embeds": [known[text] for text in negatives],
        }

    def between_steps(self, pipe: Any, encoded: dict[str, Any]) -> dict[str, Any]:
        return encoded

    def noise_dtype(self, pipe: Any) -> torch.dtype:
        import torch

        return torch.float32

    def draw(self, pipe: Any, size_wh: tuple[int, int], **arguments: Any) -> torch.Tensor:
        """diffusers' guidance of Z-Image counts from 0, which is none; `cfg_scale` from 1."""
        from diffusers.image_processor import VaeImageProcessor

        arguments["guidance_scale"] = max(arguments["guidance_scale"] - 1, 0)
        if "mask_image" in arguments:
            arguments = self._masked(pipe, size_wh, arguments)
        elif "image" in arguments:  # which may be latents: its own processor takes those for pixels
            pipe.image_processor = VaeImageProcessor(
                vae_scale_factor=pipe.vae_scale_factor * 2,
                vae_latent_channels=pipe.transformer.in_channels,
            )
        return super().draw(pipe, size_wh, **arguments)

    def _masked(
        self, pipe: Any, size_wh: tuple[int, int], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Arguments of a ControlNet pipeline, which takes no strength and no share of the steps
        in which its ControlNet leads."""
        self._set_steps(pipe, size_wh, arguments["num_inference_steps"])
        begun = masked_start.arguments(
            pipe,
            size_wh,
            image=arguments["image"],
            mask_image=arguments["mask_image"],
            generator=arguments["generator"],
            strength=arguments.pop("strength"),
            callback_on_step_end=arguments.get("callback_on_step_end"),
        )
        leading = _Leading(
            arguments["controlnet_conditioning_scale"],
            arguments.pop("control_guidance_start"),
            arguments.pop("control_guidance_end"),
            steps=len(pipe.scheduler.timesteps),
            then=begun["callback_on_step_end"],
        )
        if not type(pipe).__name__.endswith("InpaintPipeline"):  # it sees the map alone
            del arguments["image"], arguments["mask_image"]
        return {
            **arguments,
            "latents": begun["latents"],
            "control_image": arguments["control_image"] * 2 - 1,  # encoded by the VAE
            "controlnet_conditioning_scale": leading.weight,
            "callback_on_step_end": leading,
        }

    def _set_steps(self, pipe: Any, size_wh: tuple[int, int], steps: int) -> None:
        """Set the scheduler's steps as the pipelines do."""
        from diffusers.pipelines.z_image import pipeline_z_image as theirs

        _, height, width = self.noise_shape(pipe, size_wh)
        names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
        shift = theirs.calculate_shift(
            height * width // 4, *(pipe.scheduler.config[name] for name in names)
        )
        sigmas = theirs.get_default_z_image_sigmas(steps)
        pipe.scheduler.set_timesteps(sigmas=sigmas, mu=shift, device=pipe._execution_device)


class _Leading:
    """Called after each step: sets a ControlNet's `weight`, which is 0 outside of its share of the
    steps, from `start` to `end`."""

    def __init__(self, scale: float, start: float, end: float, *, steps: int, then: Any) -> None:
        import torch

        self.scales = [
            scale if start <= k / steps and (k + 1) / steps <= end else 0.0 for k in range(steps)
        ]
        self.weight, self.then = torch.tensor(self.scales[0]), then

    def __call__(self, pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self.weight.fill_(self.scales[min(step + 1, len(self.scales) - 1)])
        out: dict[str, Any] = self.then(pipe, step, time, tensors)
        return out
