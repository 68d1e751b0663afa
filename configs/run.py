"""Settings of a run as a whole: seed, batch size, device, output format."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Section


class RunSettings(Section):
    """How the shots go through. `batch_size`: shots in memory at a time; `format`, `quality`: of
    the pictures that come out (quality of JPEG and WebP, 1 to 100). `allow_pickle`: read .ckpt,
    .pt and .pth files of weights; `torch_compile`: the UNet's and ControlNets' blocks, at their
    first call. `accelerate`: false runs the code of transformers and diffusers without the
    patches of `stages/accel`, and without `cache_interval`. `low_memory`: slower, but with only the
    models at work on a GPU, or in the memory of a CPU, and the VAE in tiles."""

    seed: int = Field(0, ge=0, lt=2**32)
    retries: int = Field(0, ge=0, le=100)
    batch_size: int = Field(8, ge=1)
    device: str = "auto"
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    low_memory: bool = False
    format: Literal["png", "jpeg", "webp"] = "png"
    quality: int = Field(95, ge=1, le=100)
    allow_pickle: bool = False
    torch_compile: bool = False
    accelerate: bool = True
