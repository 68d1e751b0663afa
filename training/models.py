"""The models of a training: a base with fresh LoRAs in it. Knows no data and no loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import network
from .errors import TrainingError
from .saving import Parts

if TYPE_CHECKING:
    from ..configs.training import TrainSettings


@dataclass
class Models:
    """`unet`, `text_encoder`: with a LoRA where they learn, bare of any wrapper."""

    pipe: Any
    unet: Any
    text_encoder: Any
    tokenizer: Any
    vae: Any
    noise_scheduler: Any
    trains_text_encoder: bool

    @property
    def learning(self) -> dict[str, Any]:
        """The models that learn, by the names of their parts in a LoRA file."""
        text = {"text_encoder": self.text_encoder} if self.trains_text_encoder else {}
        return {"unet": self.unet, **text}

    @property
    def parts(self) -> Parts:
        return {part: list(network.layers(model)) for part, model in self.learning.items()}

    def parameters(self) -> dict[str, Any]:
        """Every weight that learns, by part and name."""
        return {
            f"{part}.{name}": value
            for part, model in self.learning.items()
            for name, value in network.parameters(model).items()
        }

    def train(self, mode: bool = True) -> None:
        for model in self.learning.values():
            model.train(mode)


def load(settings: TrainSettings, device: Any) -> Models:
    """Read the base model and attach LoRAs by the settings."""
    import torch
    from diffusers import DDPMScheduler

    from ..checkpoints.load import load_text_to_image

    pipe = load_text_to_image(settings.model)
    if getattr(pipe, "text_encoder_2", None) is not None:
        raise TrainingError(
            f"model {settings.model!r} is an SDXL: expected Stable Diffusion 1.x; name another"
        )
    s = settings
    for model in (pipe.unet, pipe.text_encoder, pipe.vae):
        model.to(device)
    half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(s.mixed_precision)
    for model in (pipe.unet, pipe.text_encoder) if half else ():
        model.to(dtype=half)
    change = {"prediction_type": s.prediction_type} if s.prediction_type else {}
    scheduler = DDPMScheduler.from_config(pipe.scheduler.config, **change)
    pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **change)
    models = Models(
        pipe, pipe.unet, pipe.text_encoder, pipe.tokenizer, pipe.vae, scheduler,
        s.trains_text_encoder,
    )  # fmt: skip
    network.attach(
        pipe.unet,
        rank=s.rank,
        alpha=s.alpha,
        dropout=s.lora_dropout,
        conv_dim=s.conv_dim,
        conv_alpha=s.conv_alpha,
        only=_names(s),
        seed=s.seed,
    )
    pipe.text_encoder.requires_grad_(False).eval()
    if s.trains_text_encoder:
        network.attach(
            pipe.text_encoder,
            rank=s.rank,
            alpha=s.alpha,
            dropout=s.lora_dropout,
            seed=s.seed + 1,
        )
    if s.gradient_checkpointing:
        pipe.unet.enable_gradient_checkpointing()
        if s.trains_text_encoder:
            pipe.text_encoder.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
    if s.torch_compile:
        pipe.unet.compile()
    return models


def _names(settings: TrainSettings) -> tuple[str, ...]:
    """`target_modules`, which speak of the UNet; a list in one text is taken apart."""
    names = ",".join(settings.target_modules).split(",")
    return tuple(name.strip() for name in names if name.strip())
