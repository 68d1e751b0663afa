"""Loads the base model of a training, and attaches new LoRAs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError
from ..lora import network as lora_network
from .training_models import TrainingModels
from .unet_models import UNetModels, XLModels
from .zimage_models import ZImageModels

if TYPE_CHECKING:
    from ...configs.train import TrainSettings
    from ...stages.diffusion.family import Family

_KINDS: dict[str, type[TrainingModels]] = {
    "StableDiffusion": UNetModels,
    "StableDiffusionXL": XLModels,
    "ZImage": ZImageModels,
}
"""By the beginning of the names of a family's pipelines (`Family.pipelines`)."""


def kind_of(family: Family) -> type[TrainingModels]:
    """The models of a family that LoRAs are trained for."""
    return _KINDS[family.pipelines]


def half_precision(settings: TrainSettings) -> Any:
    """The dtype of `mixed_precision`; None for float32."""
    import torch

    return {"fp16": torch.float16, "bf16": torch.bfloat16}.get(settings.mixed_precision)


def require_trainable(settings: TrainSettings) -> None:
    """Raise UsageError for a model of a family that no LoRA is trained for, and for a setting that
    its family cannot follow."""
    from ...checkpoints.identify.base_family import pipeline_class
    from ...stages.families.known import FAMILIES, family_named

    name = pipeline_class(settings.model, allow_pickle=settings.allow_pickle)
    family = family_named(name)
    if family is None:
        return
    if not family.trains:
        *first, last = (f.name for f in FAMILIES if f.trains)
        raise UsageError(
            f"model {settings.model} is a {family.name}: LoRAs are trained for "
            f"{', '.join(first)} and {last}; name one of these"
        )
    _require_settings(settings, family)


def _require_settings(settings: TrainSettings, family: Family) -> None:
    for name, why in kind_of(family).refused.items():
        value = getattr(settings, name)
        if value and value != type(settings).model_fields[name].default:
            raise UsageError(f"{name} with model {settings.model}: {why}; leave it out")
    for side in settings.resolution:
        if side % family.multiple:
            raise UsageError(
                f"resolution {side}: expected a multiple of {family.multiple}, as "
                f"{settings.model} draws; set resolution, as in "
                f"{max(64, side // family.multiple * family.multiple)}"
            )


def load(settings: TrainSettings, device: Any, base: Any = None) -> TrainingModels:
    """Load the base model, or take the pipeline `base`, and attach LoRAs."""
    from ...checkpoints.load import load_text_to_image
    from ...stages.families.known import family_of

    s, pipe = settings, base
    if pipe is None:
        require_trainable(s)
        pipe = load_text_to_image(s.model, allow_pickle=s.allow_pickle)
    family = family_of(pipe)
    _require_settings(s, family)
    models = kind_of(family).of(pipe, s)
    half = half_precision(s)
    for model in (models.denoiser, *models.text_encoders) if half else ():
        model.to(dtype=half)  # before the move: float32 SDXL would take 13 GiB of the device
    for model in (models.denoiser, *models.text_encoders, models.vae):
        model.to(device)
    lora_network.attach(
        models.denoiser,
        rank=s.rank,
        alpha=s.alpha,
        dropout=s.lora_dropout,
        conv_dim=s.conv_dim,
        conv_alpha=s.conv_alpha,
        only=_names(s),
        seed=s.seed,
    )
    for number, encoder in enumerate(models.text_encoders, 1):
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
        models.denoiser.enable_gradient_checkpointing()
        for encoder in models.text_encoders if s.trains_text_encoder else ():
            encoder.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
    if s.torch_compile:
        models.denoiser.compile()
    return models


def _names(settings: TrainSettings) -> tuple[str, ...]:
    """`target_modules` of the denoiser; one string may hold several, between commas."""
    names = ",".join(settings.target_modules).split(",")
    return tuple(name.strip() for name in names if name.strip())
