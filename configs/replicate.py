"""Settings of stage 1 on Replicate: the API and the inputs of its models."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from .base import Section

_VERSION = re.compile(r"[\w.-]+/[\w.-]+(:[0-9a-f]{64})?|[0-9a-f]{64}")

SCHEDULERS = {
    "DDIM": "DDIM",
    "DPM++ 2M": "DPMSolverMultistep",
    "DPM++ 2M Karras": "KarrasDPM",
    "Euler": "K_EULER",
    "Euler a": "K_EULER_ANCESTRAL",
    "Heun": "HeunDiscrete",
    "PLMS": "PNDM",
    "PNDM": "PNDM",
}
"""A1111's samplers as cog-sdxl's `scheduler` (github.com/replicate/cog-sdxl, predict.py)."""


class InputNames(Section):
    """Names of the model's inputs, by default those of cog-sdxl; an input of null is not sent."""

    prompt: str = "prompt"
    negative_prompt: str | None = "negative_prompt"
    width: str | None = "width"
    height: str | None = "height"
    num_outputs: str | None = "num_outputs"
    scheduler: str | None = "scheduler"
    num_inference_steps: str | None = "num_inference_steps"
    guidance_scale: str | None = "guidance_scale"
    seed: str | None = "seed"
    refine: str | None = "refine"
    high_noise_frac: str | None = "high_noise_frac"
    lora_scale: str | None = "lora_scale"
    replicate_weights: str | None = "replicate_weights"


class ReplicateSettings(Section):
    """Requests to Replicate. `inputs`: further inputs, which take precedence; `schedulers`: the
    model's names of samplers; `weights`, `lora_scale`: a LoRA trained there; `plain_prompts`:
    remove A1111's attention weights, which few models there understand; `timeout`: seconds for a
    prediction, including the time in the queue."""

    input_names: InputNames = Field(default_factory=InputNames)
    inputs: dict[str, Any] = Field(default_factory=dict)
    schedulers: dict[str, str] = Field(default_factory=dict)
    weights: str | None = None
    lora_scale: float | None = Field(None, ge=0, le=1)
    plain_prompts: bool = True
    timeout: int = Field(600, ge=5, le=86400)


def check_host(backend: str, version: str | None) -> None:
    """Raise ValueError unless a backend has a model to run: owner/name:version, the version alone,
    or owner/name of an official model."""
    if version is not None and not _VERSION.fullmatch(version):
        raise ValueError(
            f"generate.version {version!r}: expected owner/name:version with its 64 digits, or "
            "owner/name of an official model; copy it from the model's page"
        )
    if backend != "local" and version is None:
        raise ValueError(
            f"generate.backend {backend} without a model: expected generate.version, "
            "owner/name:version, as the model's page has it"
        )
