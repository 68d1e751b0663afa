"""Models of a training: a base model with new LoRAs attached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError
from . import network as lora_network
from . import sgm_names
from .save import Parts

if TYPE_CHECKING:
    from ...configs.train import TrainSettings


@dataclass
class TrainingModels:
    """A pipeline's models, those that are trained with a LoRA; without data-parallel wrappers."""

    pipe: Any
    unet: Any
    text_encoders: list[Any]
    tokenizers: list[Any]
    vae: Any
    noise_scheduler: Any
    trains_text_encoder: bool

    @property
    def learning(self) -> dict[str, Any]:
        """Trained models, by the names of their parts in a LoRA file."""
        names = ("text_encoder", "text_encoder_2")
        text = dict(zip(names, self.text_encoders, strict=False))
        return {"unet": self.unet, **(text if self.trains_text_encoder else {})}

    @property
    def is_xl(self) -> bool:
        """SDXL has two text encoders."""
        return len(self.text_encoders) > 1

    def unet_name(self, module: str) -> str:
        """Name of a UNet module in kohya's files."""
        if not self.is_xl:
            return module
        config = self.unet.config
        attentive = sum("CrossAttn" in kind for kind in config.up_block_types)
        return sgm_names.name(
            module, layers_per_block=config.layers_per_block, attentive_up_blocks=attentive
        )

    def inputs(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Arguments of the UNet for a batch of `BatchLoader`."""
        kind = next(self.unet.parameters()).dtype  # `unet.dtype` visits every module
        added = batch["added"]
        return {
            "sample": batch["noisy"],
            "timestep": batch["times"],
            "encoder_hidden_states": batch["hidden"].to(kind),
            "added_cond_kwargs": added and {k: v.to(kind) for k, v in added.items()},
            "return_dict": False,
        }

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


def half_precision(settings: TrainSettings) -> Any:
    """The dtype of `mixed_precision`; None for float32."""
    import torch

    return {"fp16": torch.float16, "bf16": torch.bfloat16}.get(settings.mixed_precision)


def require_trainable(model: str) -> None:
    """Raise UsageError for a model of a family that no LoRA is trained for."""
    from ...checkpoints.identify.base_family import pipeline_class
    from ...stages.families.known import family_named

    name = pipeline_class(model)
    family = family_named(name)
    if family is not None and not family.trains:
        raise UsageError(
            f"model {model} is a {name}: LoRAs are trained for Stable Diffusion and SDXL; name one "
            "of these"
        )


def load(settings: TrainSettings, device: Any, base: Any = None) -> TrainingModels:
    """Load the base model, or take the pipeline `base`, and attach LoRAs."""
    from diffusers import DDPMScheduler

    from ...checkpoints.load import load_text_to_image

    s, pipe = settings, base
    if pipe is None:
        require_trainable(s.model)
        pipe = load_text_to_image(s.model, allow_pickle=s.allow_pickle)
    parts = pipe.components
    encoders = [parts[k] for k in ("text_encoder", "text_encoder_2") if parts.get(k)]
    tokenizers = [parts[k] for k in ("tokenizer", "tokenizer_2") if parts.get(k)]
    half = half_precision(s)
    for model in (pipe.unet, *encoders) if half else ():
        model.to(dtype=half)  # before the move: float32 SDXL would take 13 GiB of the device
    for model in (pipe.unet, *encoders, pipe.vae):
        model.to(device)
    change = {"prediction_type": s.prediction_type} if s.prediction_type else {}
    scheduler = DDPMScheduler.from_config(pipe.scheduler.config, **change)
    pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **change)
    models = TrainingModels(
        pipe, pipe.unet, encoders, tokenizers, pipe.vae, scheduler, s.trains_text_encoder
    )  # fmt: skip
    lora_network.attach(
        pipe.unet,
        rank=s.rank,
        alpha=s.alpha,
        dropout=s.lora_dropout,
        conv_dim=s.conv_dim,
        conv_alpha=s.conv_alpha,
        only=_names(s),
        seed=s.seed,
    )
    for number, encoder in enumerate(encoders, 1):
        encoder.requires_grad_(False).eval()
        if s.trains_text_encoder:
            lora_network.attach(
                encoder,
                rank=s.rank,
                alpha=s.alpha,
                dropout=s.lora_dropout,
                seed=s.seed + number,
            )
    if s.gradient_checkpointing:
        pipe.unet.enable_gradient_checkpointing()
        for encoder in encoders if s.trains_text_encoder else ():
            encoder.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
    if s.torch_compile:
        pipe.unet.compile()
    return models


def _names(settings: TrainSettings) -> tuple[str, ...]:
    """`target_modules` of the UNet; one string may hold several, between commas."""
    names = ",".join(settings.target_modules).split(",")
    return tuple(name.strip() for name in names if name.strip())
