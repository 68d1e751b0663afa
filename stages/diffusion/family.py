"""The interface of a family of diffusion models: what stages 1 and 3 ask about a pipeline.

Everything here works on diffusers' pipelines. `stages.families` implements it, a module a family.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from .decode import Decoded, decode

if TYPE_CHECKING:
    import numpy as np
    import torch


def denoiser(pipe: Any) -> Any:
    """The model that predicts the noise: a UNet or a transformer."""
    return pipe.unet if hasattr(pipe, "unet") else pipe.transformer


class Family(ABC):
    """Models of one architecture; holds no state, so that pipelines may share it.

    `name`: in sentences; `pipelines`: how the names of its pipelines' classes begin; `multiple`:
    pixels of which the sides of a picture are multiples; `unused` and `refused`: settings by dotted
    name that it does without and that it cannot follow, with the reason; `sampler_names`: those
    that it has; `fixed_layer`: why `clip_skip` chooses no layer of its text encoder, where a
    warning is due; `most_controls`: how many of stage 3's lead together; `trains`: whether LoRAs
    are trained for it.
    """

    name: ClassVar[str]
    pipelines: ClassVar[str]
    multiple: ClassVar[int]
    sampler_names: ClassVar[Collection[str]]
    fixed_layer: ClassVar[str] = ""
    most_controls: ClassVar[int | None] = None
    trains: ClassVar[bool] = False
    unused: ClassVar[Mapping[str, str]] = {}
    refused: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def scheduler(self, sampler: str, config: Any) -> Any:
        """The scheduler of a sampler's name, on a model's own noise schedule (`config`)."""

    @abstractmethod
    def encode(
        self,
        pipe: Any,
        prompts: Sequence[str],
        negatives: Sequence[str],
        *,
        clip_skip: int | None = None,
        library: EmbeddingLibrary = NO_EMBEDDINGS,
    ) -> dict[str, Any]:
        """Embeddings of prompts and as many negative prompts, by the names of a call's
        arguments."""

    @abstractmethod
    def between_steps(self, pipe: Any, encoded: dict[str, Any]) -> dict[str, Any]:
        """Embeddings of `encode` as a pipeline holds them while it draws."""

    def length(self, pipe: Any, *texts: str, library: EmbeddingLibrary = NO_EMBEDDINGS) -> int:
        """What prompts of one call are padded to; those of different lengths share no call."""
        return 1

    def takes_guidance(self, transformer: Mapping[str, Any]) -> bool:
        """Whether `cfg_scale` acts on a model whose transformer has this configuration."""
        return True

    @abstractmethod
    def noise_shape(self, pipe: Any, size_wh: tuple[int, int]) -> tuple[int, int, int]:
        """(Channels, h, w) of the latents of a picture."""

    def noise_dtype(self, pipe: Any) -> torch.dtype:
        """What a text-to-image call draws its noise in."""
        dtype: torch.dtype = denoiser(pipe).dtype
        return dtype

    def window_step(self, pipe: Any) -> int:
        """Pixels of which the sides of a window in stage 3 are multiples."""
        return self.multiple

    def draw(self, pipe: Any, size_wh: tuple[int, int], **arguments: Any) -> torch.Tensor:
        """Latents (N, channels, h, w) of a call of a pipeline.

        Its arguments are those of diffusers that all families share: `latents` is noise of
        `noise_shape`, `control_image` float32 (N, 3, H, W), 0..1, or a list of them.
        """
        width, height = size_wh
        call = pipe(**arguments, width=width, height=height, output_type="latent")
        latents: torch.Tensor = call.images
        return latents

    def edit(
        self, pipe: Any, image: np.ndarray, instruction: str, negative: str, **arguments: Any
    ) -> torch.Tensor:
        """Latents (1, channels, h, w) of a picture, uint8 (H, W, 3), redrawn by an instruction.

        `pipe` is an edit model's; its arguments are those that these share.
        """
        raise NotImplementedError(f"{self.pipelines} has no edit model")

    def decode(self, pipe: Any, latents: torch.Tensor) -> list[Decoded]:
        """The pictures of latents."""
        return decode(pipe, latents)

    @abstractmethod
    def accelerate(self, pipe: Any) -> None:
        """Leave out work whose outcome is not used; `pipe` is a shallow copy of nobody else."""
