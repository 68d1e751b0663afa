"""Settings of stage 1: model, prompt, sampler, hires fix, refiner, IP-Adapter, fused LoRAs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Section
from .replicate import ReplicateSettings, check_host


class HiresSettings(Section):
    """A1111's hires fix. `strength`: how much is drawn over, 0 to 1; `steps`: how many are run,
    none: as many as before."""

    scale: float = Field(default=2.0, ge=1, le=4)
    upscaler: Literal["latent", "lanczos"] = "latent"
    strength: float = Field(default=0.7, ge=0.05, le=1)
    steps: int | None = Field(default=None, ge=1, le=150)


class VariationSettings(Section):
    """A1111's variation seed. `strength`: 0 to 1, how much of its noise is mixed in."""

    seed: int = Field(ge=0, lt=2**32)
    strength: float = Field(ge=0, le=1)


class RefinerSettings(Section):
    """SDXL's refiner, which draws the last steps. `high_noise_frac`: the share of the time steps,
    0 to 1, before it."""

    model: str
    high_noise_frac: float = Field(default=0.8, gt=0, lt=1)


class IPAdapterSettings(Section):
    """Pictures that say what to draw, beside the prompt. `references`: files; none: it is not
    loaded. `scale`: 0 to 1, how much they say."""

    model: str = "h94/IP-Adapter"
    subfolder: str = "models"
    weight_name: str = Field(default="ip-adapter_sd15.safetensors", pattern=r"\.safetensors$")
    scale: float = Field(default=0.6, ge=0, le=1)
    references: tuple[str, ...] = ()


class BaseLoraSettings(Section):
    """A LoRA that is added to the model's weights for good, in stage 1 and stage 3, as those that
    make few steps do (LCM, Hyper-SD, Lightning). `model`: a repository, a folder or a file."""

    model: str
    weight_name: str | None = Field(default=None, pattern=r"\.safetensors$")
    scale: float = Field(default=1.0, ge=-2, le=2)


class GenerateOptions(Section):
    """How stage 1 draws. Sizes in pixels, multiples of 8 (the VAE's factor).

    Args:
        steps: denoising steps.
        cfg_scale: classifier-free guidance; 1 is none.
        sampler: A1111's name, such as "DPM++ 2M Karras".
        cache_interval: DeepCache's: 1 is off, 2 draws the UNet's inner blocks in every second step.
        clip_skip: layers of the text encoder to skip, as diffusers counts: 1 skips one.
        width: pixels.
        height: pixels.
        prompt_strength: 0 to 1, how much of an initial picture is replaced; 1 is all.
        hires: A1111's hires fix.
        variation: A1111's variation seed.
        fuse_loras: add LoRAs into the weights, which is faster; null: where the originals find
            room in an eighth of the main memory.
        batch_size: pictures in one call of the pipeline.
    """

    steps: int = Field(default=30, ge=1, le=1000)
    cfg_scale: float = Field(default=7.0, ge=0, le=50)
    sampler: str = "DPM++ 2M Karras"
    cache_interval: int = Field(default=1, ge=1, le=10)
    clip_skip: int | None = Field(default=None, ge=1, le=12)
    width: int = Field(default=512, ge=64, le=4096)
    height: int = Field(default=512, ge=64, le=4096)
    prompt_strength: float = Field(default=0.8, gt=0, le=1)
    hires: HiresSettings | None = None
    variation: VariationSettings | None = None
    fuse_loras: bool | None = None
    batch_size: int = Field(default=4, ge=1)


class _Models(Section):
    """The model of stage 1; a base of its own so that it is listed first."""

    model: str
    backend: Literal["local", "replicate"] = "local"
    version: str | None = None
    replicate: ReplicateSettings | None = None
    vae: str | None = None
    base_loras: tuple[BaseLoraSettings, ...] = ()
    lora_dirs: tuple[str, ...] = ()
    embedding_dirs: tuple[str, ...] = ()
    wildcard_dirs: tuple[str, ...] = ()
    prompt: str = "{class}, studio photography, product photography"
    negative_prompt: str = ""


class GenerateSettings(GenerateOptions, _Models):
    """Stage 1. `backend`: where it is drawn; `version`: the model there; `vae`: in place of the
    model's own; `first_seed`: of a class's first picture, counted up for the next as in A1111, in
    place of seeds derived from `run.seed`; `init_image`: a picture to begin from."""

    first_seed: int | None = Field(default=None, ge=0, lt=2**32)

    init_image: str | None = None
    ip_adapter: IPAdapterSettings | None = None

    @model_validator(mode="after")
    def _a_host_is_told_its_model(self) -> GenerateSettings:
        check_host(self.backend, self.version)
        if self.variation and self.init_image:
            raise ValueError("variation: mixes noise, and init_image leaves none; expected one")
        return self
