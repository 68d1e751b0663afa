"""Trains Z-Image: a transformer that predicts the way from picture to noise (flow matching)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .encoders import FeatureCache, fingerprint, key
from .training_models import TrainingModels

if TYPE_CHECKING:
    import torch

    from ...configs.train import TrainSettings
    from ..datasets.examples import Example

_TEXT = "Z-Image's language model is not trained, and read as it is"


class ZImageModels(TrainingModels):
    """Times are noise levels, 0 to 1: the share of noise in a latent."""

    part = "transformer"
    sampler = "Euler"
    class_arguments: ClassVar[Mapping[str, Any]] = {"guidance_scale": 1.0}
    patch = 2
    refused: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("train_text_encoder", "text_encoder_lr", "clip_skip"), _TEXT),
        "conv_dim": "Z-Image has no convolutions",
        "max_token_length": "Z-Image reads 512 tokens of every caption",
        "snr_gamma": "its weights are for noise prediction",
        "prediction_type": "Z-Image predicts the velocity of a flow",
    }
    about: ClassVar[Mapping[str, str]] = {
        "ss_base_model_version": "zimage",
        "modelspec.architecture": "z-image/lora",
        "modelspec.implementation": "diffusers",
    }

    @classmethod
    def of(cls, pipe: Any, settings: TrainSettings) -> ZImageModels:
        encoders, words = [pipe.text_encoder], [pipe.tokenizer]
        return cls(pipe, pipe.transformer, encoders, words, pipe.vae, pipe.scheduler, False)

    def prompt_encoder(self, settings: TrainSettings, cache: FeatureCache | None) -> _Prompts:
        return _Prompts(self.pipe, cache)

    def conditions(
        self, prompts: dict[str, Any], chosen: Sequence[Example], device: Any
    ) -> dict[str, Any]:
        return prompts

    def draw_times(self, draws: Sequence[torch.Generator], settings: TrainSettings) -> torch.Tensor:
        """Logit-normal or equally often, then shifted to more noise as sampling is, then brought
        into the range of `min_timestep` to `max_timestep`."""
        import torch

        if settings.timestep_sampling == "uniform":
            levels = torch.cat([torch.rand(1, generator=g) for g in draws])
        else:
            levels = torch.cat([torch.randn(1, generator=g) for g in draws]).sigmoid()
        shift = settings.timestep_shift or self.noise_scheduler.config.shift
        levels = shift * levels / (1 + (shift - 1) * levels)
        first, last = (settings.min_timestep or 0) / 1000, (settings.max_timestep or 1000) / 1000
        return first + (last - first) * levels

    def times_at(self, shares: Sequence[float]) -> torch.Tensor:
        import torch

        return torch.tensor(shares)

    def noisy(self, latents: Any, noise: Any, times: Any) -> torch.Tensor:
        level = times.view(-1, 1, 1, 1)
        return (1 - level) * latents + level * noise  # type: ignore[no-any-return]

    def target(self, latents: Any, noise: Any, times: Any) -> torch.Tensor:
        return noise - latents  # type: ignore[no-any-return]

    def prediction(self, denoiser: Any, batch: dict[str, Any]) -> torch.Tensor:
        """The model's time runs from noise to picture, and so does what it predicts."""
        import torch

        kind = next(self.denoiser.parameters()).dtype
        outputs = denoiser(
            [latent[:, None] for latent in batch["noisy"].to(kind)],  # of one frame
            1 - batch["times"],
            [hidden.to(kind) for hidden in batch["hidden"]],
            return_dict=False,
        )[0]
        return -torch.stack([output[:, 0] for output in outputs])

    @property
    def predicts(self) -> str:
        return "flow"

    def weights(self, times: Any, settings: TrainSettings) -> torch.Tensor:
        import torch

        return torch.ones_like(times)

    def drawing(self, prompts: Any, text: str, cfg_scale: float) -> dict[str, Any]:
        hidden = prompts([text, ""])["hidden"]
        return {
            "prompt_embeds": hidden[:1],
            "negative_prompt_embeds": hidden[1:],
            "guidance_scale": cfg_scale,
        }


class _Prompts:
    """Encodes each caption alone, by the pipeline; `cache`: None encodes at each call."""

    def __init__(self, pipe: Any, cache: FeatureCache | None) -> None:
        self.pipe, self.cache, self.encoders = pipe, cache, [pipe.text_encoder]
        on_disk = cache is not None and cache.folder is not None
        self._id = fingerprint(pipe.text_encoder) if on_disk else ""

    def __call__(self, texts: Sequence[str]) -> dict[str, Any]:
        """`hidden`: float (tokens, width) of each text."""
        return {"hidden": [self._hidden(text) for text in texts]}

    def _hidden(self, text: str) -> Any:
        import torch

        known = self.cache.get(key(text, self._id)) if self.cache else None
        if known is None:
            with torch.no_grad():
                ((hidden,), _) = self.pipe.encode_prompt(text, do_classifier_free_guidance=False)
            known = {"hidden": hidden}
            if self.cache:
                self.cache.put(key(text, self._id), {"hidden": hidden.cpu()})
        return known["hidden"].to(self.pipe._execution_device)
