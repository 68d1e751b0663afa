"""Models of a training: a base model with new LoRAs, and what its family does otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..lora import network as lora_network
from ..lora.save import Parts

if TYPE_CHECKING:
    import torch

    from ...configs.train import TrainSettings
    from ..datasets.examples import Example
    from .encoders import FeatureCache


@dataclass
class TrainingModels(ABC):
    """A pipeline's models, those that are trained with a LoRA; without data-parallel wrappers.

    `part`: the denoiser's name in the pipeline; `sampler`: draws validation and class pictures;
    `class_arguments`: of the call that draws the latter; `patch`: latents of which sides are
    multiples; `numbers_encoders`: whether kohya's files number the text encoders; `refused`:
    settings that it cannot follow, with the reason; `about`: metadata of its LoRA files.
    """

    pipe: Any
    denoiser: Any
    text_encoders: list[Any]
    tokenizers: list[Any]
    vae: Any
    noise_scheduler: Any
    trains_text_encoder: bool

    part: ClassVar[str]
    sampler: ClassVar[str]
    class_arguments: ClassVar[Mapping[str, Any]] = {}
    patch: ClassVar[int] = 1
    numbers_encoders: ClassVar[bool] = False
    refused: ClassVar[Mapping[str, str]] = {}
    about: ClassVar[Mapping[str, str]]

    @classmethod
    @abstractmethod
    def of(cls, pipe: Any, settings: TrainSettings) -> TrainingModels:
        """Take the models of a pipeline."""

    @abstractmethod
    def prompt_encoder(self, settings: TrainSettings, cache: FeatureCache | None) -> Any:
        """Return what encodes captions: called with texts, it returns embeddings by name; its
        `encoders` are the text encoders. `cache`: for captions that do not change."""

    @abstractmethod
    def conditions(
        self, prompts: dict[str, Any], chosen: Sequence[Example], device: Any
    ) -> dict[str, Any]:
        """Return what a batch holds beside latents: embeddings of captions, and what of the
        pictures the model reads."""

    @abstractmethod
    def draw_times(self, draws: Sequence[torch.Generator], settings: TrainSettings) -> torch.Tensor:
        """Draw the place in the noise schedule of each picture, (N,)."""

    @abstractmethod
    def times_at(self, shares: Sequence[float]) -> torch.Tensor:
        """Return places in the noise schedule, 0 to 1, as `draw_times` does."""

    @abstractmethod
    def noisy(self, latents: Any, noise: Any, times: Any) -> torch.Tensor:
        """Return latents with noise, (N, channels, h, w)."""

    @abstractmethod
    def target(self, latents: Any, noise: Any, times: Any) -> torch.Tensor:
        """Return what is to be predicted."""

    @abstractmethod
    def prediction(self, denoiser: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Return the prediction of the denoiser, which may be wrapped, for a batch of
        `BatchLoader`."""

    @abstractmethod
    def weights(self, times: Any, settings: TrainSettings) -> torch.Tensor:
        """Return weights of the errors at these places, (N,)."""

    @abstractmethod
    def drawing(self, prompts: Any, text: str, cfg_scale: float) -> dict[str, Any]:
        """Return arguments of the pipeline that draw a text, encoded as captions are."""

    @property
    @abstractmethod
    def predicts(self) -> str:
        """What the denoiser predicts, as `modelspec.prediction_type` says it."""

    def module_name(self, part: str, module: str) -> str:
        """Name of a module in kohya's files."""
        return module

    @property
    def learning(self) -> dict[str, Any]:
        """Trained models, by the names of their parts in a LoRA file."""
        names = ("text_encoder", "text_encoder_2")
        text = dict(zip(names, self.text_encoders, strict=False))
        return {self.part: self.denoiser, **(text if self.trains_text_encoder else {})}

    @property
    def parts(self) -> Parts:
        return {part: list(lora_network.layers(model)) for part, model in self.learning.items()}

    def parameters(self) -> dict[str, Any]:
        """Trained weights, by part and name."""
        return {
            f"{part}.{name}": value
            for part, model in self.learning.items()
            for name, value in lora_network.parameters(model).items()
        }

    def train(self, mode: bool = True) -> None:
        for model in self.learning.values():
            model.train(mode)
