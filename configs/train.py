"""Settings of a LoRA training: types, limits and combinations, read from one flat YAML file.

Names are those of diffusers' LoRA scripts, and kohya's where only kohya has them; the other
tool's name for the same setting (`ALIASES`) is accepted too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from .base import PlainName, Section
from .schema import SettingsError, describe, nearest, read_yaml

SCHEDULERS = Literal[
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup"
]


ALIASES = {
    "pretrained_model_name_or_path": "model",
    "network_dim": "rank",
    "network_alpha": "lora_alpha",
    "network_dropout": "lora_dropout",
    "lora_layers": "target_modules",
    "unet_lr": "learning_rate",
    "max_train_epochs": "num_train_epochs",
    "optimizer": "optimizer_type",
    "lr_scheduler_num_cycles": "lr_num_cycles",
    "flip_aug": "random_flip",
    "color_aug": "color_jitter",
    "min_snr_gamma": "snr_gamma",
    "proportion_empty_prompts": "caption_dropout_rate",
    "num_repeats": "repeats",
    "dataset_repeats": "repeats",
    "reg_data_dir": "class_data_dir",
    "validation_prompt": "validation_prompts",
    "gradient_clip": "max_grad_norm",
}
"""Other names of settings, from kohya's sd-scripts and diffusers' other scripts."""


class TrainSettings(Section):
    """Settings of a training; docs/training.md describes each.

    Sizes are in pixels; dropout, splits and warm-up below 1 are shares. `allow_pickle`: read a
    `model` that is a .ckpt, .pt or .pth file.
    """

    model: str
    allow_pickle: bool = False
    train_data_dir: str
    output_dir: str
    output_name: PlainName = ""
    trigger_phrase: str = ""

    rank: int = Field(16, ge=1, le=1024)
    lora_alpha: float | None = Field(None, gt=0, le=1e6)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = ()
    conv_dim: int | None = Field(None, ge=1, le=1024)
    conv_alpha: float | None = Field(None, gt=0, le=1e6)
    train_text_encoder: bool | None = None

    resolution: tuple[int, int] = (512, 512)
    enable_bucket: bool = True
    min_bucket_reso: int | None = None
    max_bucket_reso: int | None = None
    bucket_reso_steps: int = 64
    bucket_no_upscale: bool = False
    repeats: int = Field(1, ge=1)
    caption_column: str = "text"
    caption_extension: str | None = None
    instance_prompt: str = ""
    shuffle_caption: bool = False
    keep_tokens: int = Field(0, ge=0)
    caption_dropout_rate: float = Field(0.0, ge=0, le=1)
    clip_skip: int | None = Field(None, ge=1, le=12)
    max_token_length: Literal[75, 150, 225] = 75
    random_flip: bool = False
    color_jitter: bool = False
    masked_loss: bool = False
    cache_latents: bool | None = None
    cache_latents_to_disk: bool = False
    cache_text_encoder_outputs: bool | None = None
    cache_dir: str | None = None
    vae_batch_size: int = Field(1, ge=1)

    learning_rate: float = Field(1e-4, gt=0)
    text_encoder_lr: float | None = Field(None, gt=0)
    train_batch_size: int = Field(1, ge=1)
    gradient_accumulation_steps: int = Field(1, ge=1)
    gradient_checkpointing: bool = False
    num_train_epochs: int = Field(10, ge=1)
    max_train_steps: int | None = Field(None, ge=1)
    optimizer_type: Literal["AdamW", "AdamW8bit", "Prodigy", "Adafactor"] = "AdamW"
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    adam_beta2: float = Field(0.999, ge=0, lt=1)
    adam_weight_decay: float = Field(1e-2, ge=0)
    adam_epsilon: float = Field(1e-8, gt=0)
    max_grad_norm: float = Field(1.0, ge=0)
    lr_scheduler: SCHEDULERS = "constant"
    lr_warmup_steps: int | float = Field(0, ge=0)
    lr_num_cycles: int = Field(1, ge=1)
    lr_power: float = Field(1.0, gt=0)
    snr_gamma: float | None = Field(None, gt=0)
    noise_offset: float = Field(0.0, ge=0, le=1)
    min_timestep: int | None = Field(None, ge=0, lt=1000)
    max_timestep: int | None = Field(None, ge=1, le=1000)
    timestep_sampling: Literal["logit_normal", "uniform"] | None = None
    timestep_shift: float | None = Field(None, gt=0, le=100)
    prediction_type: Literal["epsilon", "v_prediction"] | None = None
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    use_ema: bool = False
    ema_decay: float = Field(0.9999, gt=0, lt=1)
    torch_compile: bool = False
    seed: int = Field(0, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    with_prior_preservation: bool = False
    class_data_dir: str | None = None
    class_prompt: str = ""
    num_class_images: int = Field(100, ge=1, le=1_000_000)
    prior_loss_weight: float = Field(1.0, ge=0)

    checkpointing_steps: int | None = Field(500, ge=1)
    checkpoints_total_limit: int | None = Field(None, ge=1)
    resume_from_checkpoint: str | None = None
    save_every_n_epochs: int | None = Field(1, ge=1)
    save_precision: Literal["float", "fp16", "bf16"] = "fp16"

    validation_split: float = Field(0.0, ge=0, le=0.5)
    validation_steps: int | None = Field(None, ge=1)
    validation_prompts: tuple[str, ...] = ()
    validation_epochs: int = Field(1, ge=1)
    validation_weights: tuple[float, ...] = (0.0, 0.5, 1.0)
    validation_inference_steps: int = Field(20, ge=1, le=1000)
    validation_cfg_scale: float = Field(7.0, ge=0)
    report_to: Literal["auto", "tensorboard", "wandb", "none"] = "auto"

    @field_validator("resolution", mode="before")
    @classmethod
    def _one_side_or_two(cls, value: Any) -> Any:
        """512, [768, 512], "768,512" and "768x512"."""
        if isinstance(value, str):
            value = value.lower().replace("x", ",").split(",")
        if isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        return (value, value) if isinstance(value, int) else value

    @field_validator("target_modules", "validation_prompts", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("lr_scheduler", "mixed_precision", "report_to", mode="before")
    @classmethod
    def _yaml_reads_no_as_false(cls, value: Any, info: Any) -> Any:
        if value is False or value is None:
            return "none" if info.field_name == "report_to" else "no"
        return value

    @model_validator(mode="after")
    def _together(self) -> TrainSettings:
        if isinstance(self.lr_warmup_steps, float) and self.lr_warmup_steps > 1:
            raise ValueError(
                f"lr_warmup_steps {self.lr_warmup_steps:g}: expected whole steps, or a share "
                "below 1; set lr_warmup_steps"
            )
        if self.cache_latents and self.color_jitter:
            raise ValueError(
                "cache_latents with color_jitter, which paints each picture anew: expected one; "
                "drop cache_latents"
            )
        if self.cache_text_encoder_outputs and (self.shuffle_caption or self.trains_text_encoder):
            raise ValueError(
                "cache_text_encoder_outputs with shuffle_caption or a trained text encoder, "
                "whose outputs change: expected one; drop cache_text_encoder_outputs"
            )
        if self.text_encoder_lr and self.train_text_encoder is False:
            raise ValueError(
                "text_encoder_lr with train_text_encoder: false: expected one; drop one of them"
            )
        if (self.min_timestep or 0) >= (self.max_timestep or 1000):
            raise ValueError(
                f"min_timestep {self.min_timestep or 0} with max_timestep {self.max_timestep}: "
                "expected the lower one first; set one of them"
            )
        if self.with_prior_preservation and not (self.class_data_dir and self.class_prompt):
            raise ValueError(
                "with_prior_preservation needs class_data_dir and class_prompt; set both"
            )
        return self

    @field_validator("train_data_dir", "output_dir", "cache_dir", "class_data_dir")
    @classmethod
    def _expand_home(cls, folder: str | None) -> str | None:
        return folder and os.path.expanduser(folder)

    @property
    def name(self) -> str:
        """`output_name`, by default the name of `output_dir`."""
        return self.output_name or Path(self.output_dir).resolve().name

    @property
    def alpha(self) -> float:
        """`lora_alpha`, by default the rank (a scale of 1)."""
        return self.lora_alpha or float(self.rank)

    @property
    def trains_text_encoder(self) -> bool:
        """`train_text_encoder`, by default whether `text_encoder_lr` is set."""
        if self.train_text_encoder is None:
            return self.text_encoder_lr is not None
        return self.train_text_encoder


def read_train_settings(
    path: str | Path, overrides: Mapping[str, Any] | None = None
) -> TrainSettings:
    """Read settings from a YAML file; `overrides` win.

    Raises SettingsError with all problems at once.
    """
    values = read_yaml(path, "the YAML settings of a training, as in `rank: 16`, a line each")
    return check({**_renamed(values), **_renamed(overrides or {})})


def check(values: Mapping[str, Any]) -> TrainSettings:
    """Check settings given as plain values, under any of their names; raises SettingsError."""
    try:
        return TrainSettings.model_validate(_renamed(values))
    except ValidationError as error:
        problems = [_problem(e) for e in error.errors()]  # type: ignore[arg-type]
        raise SettingsError(list(dict.fromkeys(problems))) from None


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        name = ALIASES.get(str(key), str(key))
        if name == "use_8bit_adam":
            if not value:
                continue
            name, value = "optimizer_type", "AdamW8bit"
        if name in out:
            raise SettingsError([f"{key} is another name of {name}: expected one; drop one"])
        out[name] = _number(value)
    return out


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as a string."""
    if isinstance(value, str):
        try:
            return float(value) if "e" in value.lower() else value
        except ValueError:
            return value
    return value


def _problem(error: Mapping[str, Any]) -> str:
    name = str(error["loc"][0]) if error["loc"] else ""
    hint = nearest(name, [*TrainSettings.model_fields, *ALIASES])
    return describe(error, name, hint or "; `visuals train --help` names the page of all settings")
