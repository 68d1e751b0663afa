"""Qwen-Image and Qwen-Image-Edit, flow-matching transformers that read Qwen2.5-VL."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from ...checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from ..diffusion.decode import Decoded, decode
from . import flow_matching, masked_start

if TYPE_CHECKING:
    import numpy as np
    import torch


_EDIT_AREA = 1024 * 1024
"""Pixels to which the pipeline of Qwen-Image-Edit scales every picture."""


class QwenImage(flow_matching.FlowMatching):
    """A transformer over latents that are packed two by two, with a VAE for films of one frame."""

    pipelines = "QwenImage"
    packed = 4
    name = "Qwen-Image"
    most_controls = 1
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
    ) -> dict[str, torch.Tensor]:
        """Each prompt alone, padded to the longest, with masks; weights are left out."""
        texts = dict.fromkeys((*prompts, *negatives))
        known = {text: pipe.encode_prompt(self.plain(text))[0][0] for text in texts}
        return {
            **_padded("prompt_embeds", [known[text] for text in prompts]),
            **_padded("negative_prompt_embeds", [known[text] for text in negatives]),
        }

    def between_steps(self, pipe: Any, encoded: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """None: the pipelines keep the masks of the first prompt, and so its words."""
        flow_matching.warn_of_prompt_editing(self.name)
        return {}

    def draw(self, pipe: Any, size_wh: tuple[int, int], **arguments: Any) -> torch.Tensor:
        width, height = size_wh
        scale = arguments.pop("guidance_scale")
        if scale <= 1:
            arguments = {k: v for k, v in arguments.items() if not k.startswith("negative_")}
        if (noise := arguments.get("latents")) is not None:
            arguments["latents"] = _packed(pipe, noise)
        if "mask_image" in arguments:
            arguments = self._masked(pipe, size_wh, arguments)
        packed = super().draw(pipe, size_wh, true_cfg_scale=scale, **arguments)
        latents: torch.Tensor = pipe._unpack_latents(packed, height, width, pipe.vae_scale_factor)
        return latents[:, :, 0]

    def edit(
        self, pipe: Any, image: np.ndarray, instruction: str, negative: str, **arguments: Any
    ) -> torch.Tensor:
        """At the only area that the pipeline sees pictures at: another one would move them."""
        from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit import calculate_dimensions
        from PIL import Image

        width, height, _ = calculate_dimensions(_EDIT_AREA, image.shape[1] / image.shape[0])
        return self.draw(
            pipe,
            (width, height),
            image=Image.fromarray(image),
            prompt=self.plain(instruction),
            negative_prompt=negative or " ",
            **arguments,
        )

    def decode(self, pipe: Any, latents: torch.Tensor) -> list[Decoded]:
        return decode(SimpleNamespace(vae=_OneFrame(pipe.vae)), latents)

    def _masked(
        self, pipe: Any, size_wh: tuple[int, int], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Arguments of the ControlNet pipeline, which takes neither picture, mask nor strength."""
        self._set_steps(pipe, size_wh, arguments["num_inference_steps"])
        begun = masked_start.arguments(
            pipe,
            size_wh,
            image=arguments.pop("image"),
            mask_image=arguments.pop("mask_image"),
            generator=arguments["generator"],
            strength=arguments.pop("strength"),
            callback_on_step_end=arguments.get("callback_on_step_end"),
            encode=_encoded,
            pack=lambda latents: _packed(pipe, latents),
        )
        hints = arguments["control_image"] * 2 - 1  # encoded by the VAE, as pictures are
        return {**arguments, **begun, "control_image": hints}

    def _set_steps(self, pipe: Any, size_wh: tuple[int, int], steps: int) -> None:
        """Set the scheduler's steps as the pipelines do."""
        import numpy as np
        from diffusers.pipelines.qwenimage import pipeline_qwenimage as theirs

        _, height, width = self.noise_shape(pipe, size_wh)
        names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
        shift = theirs.calculate_shift(
            height * width // 4, *(pipe.scheduler.config[name] for name in names)
        )
        sigmas = np.linspace(1.0, 1 / steps, steps)
        pipe.scheduler.set_timesteps(sigmas=sigmas, mu=shift, device=pipe._execution_device)


def _padded(name: str, rows: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Embeddings (N, tokens, width) of rows (tokens, width), and their mask (N, tokens)."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    masks = [torch.ones(len(row), dtype=torch.long, device=row.device) for row in rows]
    return {
        name: pad_sequence(list(rows), batch_first=True),
        f"{name}_mask": pad_sequence(masks, batch_first=True),
    }


def _packed(pipe: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents (N, channels, h, w) as the transformer takes them."""
    packed: torch.Tensor = pipe._pack_latents(latents, *latents.shape)
    return packed


def _encoded(vae: Any, pixels: torch.Tensor, generator: Sequence[Any]) -> torch.Tensor:
    """Latents (N, channels, h, w) of pixels (N, 3, H, W), -1..1, drawn by the generators."""
    import torch

    drawn = [
        vae.encode(one.unsqueeze(2)).latent_dist.sample(draw)[:, :, 0]
        for one, draw in zip(pixels.split(1), generator, strict=True)
    ]
    latents = torch.cat(drawn)
    mean, std = (
        torch.tensor(vae.config[name]).view(1, -1, 1, 1).to(latents)
        for name in ("latents_mean", "latents_std")
    )
    return (latents - mean) / std


class _OneFrame:
    """A VAE of films as one of pictures."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae
        self.config = SimpleNamespace(scaling_factor=1.0, get=vae.config.get)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)

    def decode(self, latents: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        return (self._vae.decode(latents.unsqueeze(2), return_dict=False)[0][:, :, 0],)
