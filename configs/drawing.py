"""The settings of stage 1 beside the sampler's: hires fix, refiner, IP-Adapter, fused LoRAs.

Knows no models, no stages, no command line. `schema` joins them to the settings of a run.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .finding import Section


class HiresSettings(Section):
    """A1111's hires fix. `strength`: how much is drawn over, 0 to 1; `steps`: how many are run,
    none: as many as before."""

    scale: float = Field(2.0, gt=1, le=4)
    upscaler: Literal["latent", "lanczos"] = "latent"
    strength: float = Field(0.7, ge=0.05, le=1)
    steps: int | None = Field(None, ge=1, le=150)


class RefinerSettings(Section):
    """SDXL's refiner, which draws the last steps. `high_noise_frac`: the share of the steps, 0 to
    1, before it."""

    model: str
    high_noise_frac: float = Field(0.8, gt=0, lt=1)


class IPAdapterSettings(Section):
    """Pictures that say what to draw, beside the prompt. `references`: files; none: it is not
    loaded. `scale`: 0 to 1, how much they say."""

    model: str = "h94/IP-Adapter"
    subfolder: str = "models"
    weight_name: str = Field("ip-adapter_sd15.safetensors", pattern=r"\.safetensors$")
    scale: float = Field(0.6, ge=0, le=1)
    references: tuple[str, ...] = ()


class BaseLoraSettings(Section):
    """A LoRA that is added to the model's weights for good, in stage 1 and stage 3, as those that
    make few steps do (LCM, Hyper-SD, Lightning). `model`: a repository, a folder or a file."""

    model: str
    weight_name: str | None = Field(None, pattern=r"\.safetensors$")
    scale: float = Field(1.0, ge=-2, le=2)
