"""Trains Stable Diffusion 1.x, 2.x and SDXL: a UNet that predicts noise or velocity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..lora import sgm_names
from . import loss
from .encoders import FeatureCache, PromptEncoder
from .training_models import TrainingModels

if TYPE_CHECKING:
    import torch

    from ...configs.train import TrainSettings
    from ..datasets.examples import Example

_FLOW = "it is for flow-matching families"


class UNetModels(TrainingModels):
    """Stable Diffusion 1.x and 2.x."""

    part = "unet"
    sampler = "DPM++ 2M"
    refused: ClassVar[Mapping[str, str]] = {"timestep_sampling": _FLOW, "timestep_shift": _FLOW}
    about: ClassVar[Mapping[str, str]] = {
        "ss_base_model_version": "sd_v1",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "modelspec.implementation": "diffusers",
    }

    @classmethod
    def of(cls, pipe: Any, settings: TrainSettings) -> UNetModels:
        from diffusers import DDPMScheduler

        parts, wanted = pipe.components, settings.prediction_type
        change = {"prediction_type": wanted} if wanted else {}
        scheduler = DDPMScheduler.from_config(pipe.scheduler.config, **change)
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **change)
        return cls(
            pipe,
            pipe.unet,
            [parts[k] for k in ("text_encoder", "text_encoder_2") if parts.get(k)],
            [parts[k] for k in ("tokenizer", "tokenizer_2") if parts.get(k)],
            pipe.vae,
            scheduler,
            settings.trains_text_encoder,
        )

    def prompt_encoder(self, settings: TrainSettings, cache: FeatureCache | None) -> PromptEncoder:
        return PromptEncoder(
            self.tokenizers,
            self.text_encoders,
            cache,
            max_token_length=settings.max_token_length,
            clip_skip=settings.clip_skip,
        )

    def conditions(
        self, prompts: dict[str, Any], chosen: Sequence[Example], device: Any
    ) -> dict[str, Any]:
        return {"hidden": prompts["hidden"], "added": None}

    def draw_times(self, draws: Sequence[torch.Generator], settings: TrainSettings) -> torch.Tensor:
        """Time steps, int (N,), equally often."""
        last = settings.max_timestep or self.noise_scheduler.config.num_train_timesteps
        return loss.draw_steps(draws, last, settings.min_timestep or 0)

    def times_at(self, shares: Sequence[float]) -> torch.Tensor:
        import torch

        steps = self.noise_scheduler.config.num_train_timesteps
        return torch.tensor([int(share * steps) for share in shares])

    def noisy(self, latents: Any, noise: Any, times: Any) -> torch.Tensor:
        return self.noise_scheduler.add_noise(latents, noise, times)  # type: ignore[no-any-return]

    def target(self, latents: Any, noise: Any, times: Any) -> torch.Tensor:
        return loss.target(self.noise_scheduler, latents, noise, times)

    def prediction(self, denoiser: Any, batch: dict[str, Any]) -> torch.Tensor:
        kind = next(self.denoiser.parameters()).dtype  # `unet.dtype` visits every module
        added = batch["added"]
        return denoiser(  # type: ignore[no-any-return]
            sample=batch["noisy"],
            timestep=batch["times"],
            encoder_hidden_states=batch["hidden"].to(kind),
            added_cond_kwargs=added and {k: v.to(kind) for k, v in added.items()},
            return_dict=False,
        )[0]

    @property
    def predicts(self) -> str:
        velocity = self.noise_scheduler.config.prediction_type == "v_prediction"
        return "v" if velocity else "epsilon"

    def weights(self, times: Any, settings: TrainSettings) -> torch.Tensor:
        return loss.snr_weights(self.noise_scheduler, times, settings.snr_gamma)

    def drawing(self, prompts: Any, text: str, cfg_scale: float) -> dict[str, Any]:
        """With clip skip and chunks as in the training."""
        hidden = prompts([text, ""])["hidden"]
        return {
            "prompt_embeds": hidden[:1],
            "negative_prompt_embeds": hidden[1:],
            "guidance_scale": cfg_scale,
        }


class XLModels(UNetModels):
    """SDXL: two text encoders, and sizes as conditions."""

    numbers_encoders = True
    about: ClassVar[Mapping[str, str]] = {
        "ss_base_model_version": "sdxl_base_v1-0",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
    }

    def conditions(
        self, prompts: dict[str, Any], chosen: Sequence[Example], device: Any
    ) -> dict[str, Any]:
        added = {"text_embeds": prompts["pooled"], "time_ids": _time_ids(chosen).to(device)}
        return {"hidden": prompts["hidden"], "added": added}

    def drawing(self, prompts: Any, text: str, cfg_scale: float) -> dict[str, Any]:
        return {"prompt": [text], "guidance_scale": cfg_scale}

    def module_name(self, part: str, module: str) -> str:
        if part != self.part:
            return module
        config = self.denoiser.config
        attentive = sum("CrossAttn" in kind for kind in config.up_block_types)
        return sgm_names.name(
            module, layers_per_block=config.layers_per_block, attentive_up_blocks=attentive
        )


def _time_ids(chosen: Sequence[Example]) -> torch.Tensor:
    """SDXL's size conditions, float32 (N, 6): original h, w; top, left of the crop; h, w."""
    import torch

    rows = []
    for example in chosen:
        left, top, _, _ = example.fit.crop_xyxy
        width, height = example.fit.bucket_wh
        rows.append([example.size_wh[1], example.size_wh[0], top, left, height, width])
    return torch.tensor(rows, dtype=torch.float32)
