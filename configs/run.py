"""Settings of a run as a whole: seed, batch size, device, output format."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Section

MAX_PICTURES = 1_000_000
"""Most pictures that one run draws: weeks of work on any machine, and their names fit in memory."""


class RunSettings(Section):
    """A run as a whole.

    Args:
        seed: 0 to 2³²-1, by which shots have theirs; -1: random.
        retries: how often a picture that stage 2 refuses is drawn again.
        batch_size: shots in memory at a time.
        device: auto, cpu, cuda, cuda:1, mps.
        dtype: of the models' weights.
        low_memory: keep only the models in use on the GPU, or in the memory of a CPU, and run the
            VAE in tiles; slower.
        weights: how those of a large transformer and its text encoder are stored; auto: fp8 with
            low_memory, else full. 4bit needs bitsandbytes.
        format: of the final pictures; only png keeps every pixel.
        quality: of jpeg and webp.
        license: commercial: refuse models and LoRAs whose licence forbids commercial use, or is
            not known.
        allow_pickle: read .ckpt, .pt and .pth weights.
        torch_compile: compile blocks of the UNet and ControlNets at their first call.
        accelerate: false turns off the patches of `stages/accel` and `cache_interval`.
    """

    seed: int = Field(-1, ge=-1, lt=2**32)
    retries: int = Field(0, ge=0, le=100)
    batch_size: int = Field(8, ge=1)
    device: str = "auto"
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    low_memory: bool = False
    weights: Literal["auto", "full", "fp8", "4bit"] = "auto"
    format: Literal["png", "jpeg", "webp"] = "png"
    quality: int = Field(95, ge=1, le=100)
    license: Literal["any", "commercial"] = "any"
    allow_pickle: bool = False
    torch_compile: bool = False
    accelerate: bool = True
