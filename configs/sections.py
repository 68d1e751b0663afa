"""The settings of each stage, and of the run: a section each, typed and checked by itself.

Knows no models, no stages, no files. `schema` joins them to the settings of a run. The names are
those of diffusers, A1111 and ADetailer, so that a value read elsewhere can be copied.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .drawing import BaseLoraSettings, HiresSettings, IPAdapterSettings
from .finding import Section
from .replicate import ReplicateSettings, check_host


class GenerateSettings(Section):
    """Stage 1. Sizes in pixels, multiples of 8 (the VAE's factor). `vae`: in the place of the
    model's own; `init_image`: a picture to begin from, drawn over at `prompt_strength`, 0 to 1;
    `fuse_loras`: add LoRAs into the weights, faster where all prompts have the same ones;
    `cache_interval`: DeepCache's, 1 is off, 2 draws the UNet's inner blocks in every second step;
    `backend`: where it is drawn; `version`: the model there."""

    model: str
    backend: Literal["local", "replicate"] = "local"
    version: str | None = None
    replicate: ReplicateSettings | None = None
    vae: str | None = None
    base_loras: tuple[BaseLoraSettings, ...] = ()
    lora_dirs: tuple[str, ...] = ()
    wildcard_dirs: tuple[str, ...] = ()
    fuse_loras: bool = False
    prompt: str = "{class}, studio photography, product photography"
    negative_prompt: str = ""
    steps: int = Field(30, ge=1, le=1000)
    cfg_scale: float = Field(7.0, ge=0, le=50)
    sampler: str = "DPM++ 2M Karras"
    cache_interval: int = Field(1, ge=1, le=10)
    clip_skip: int | None = Field(None, ge=1, le=12)
    width: int = Field(512, ge=64, le=4096, multiple_of=8)
    height: int = Field(512, ge=64, le=4096, multiple_of=8)
    init_image: str | None = None
    prompt_strength: float = Field(0.8, gt=0, le=1)
    hires: HiresSettings | None = None
    ip_adapter: IPAdapterSettings | None = None
    batch_size: int = Field(4, ge=1)

    @model_validator(mode="after")
    def _a_host_is_told_its_model(self) -> GenerateSettings:
        check_host(self.backend, self.version)
        return self


class DetectSettings(Section):
    """Stage 2, where. Thresholds and overlaps are shares, 0 to 1. `cross_class_iou`: where boxes of
    two classes overlap by so much the better one stays; none: both do. `second_look`: boxes in
    doubt are looked at again in close-ups, padded by these shares of their longer side."""

    model: str
    box_threshold: float = Field(0.35, ge=0, le=1)
    text_threshold: float = Field(0.25, ge=0, le=1)
    nms_iou: float = Field(0.5, ge=0, le=1)
    cross_class_iou: float | None = Field(0.8, gt=0, le=1)
    second_look: tuple[Annotated[float, Field(ge=0, le=4)], ...] = ()
    batch_size: int = Field(8, ge=1)


class SegmentSettings(Section):
    """Stage 2, which pixels. `crop_padding`: show each box alone, in the square round it padded by
    this share of its longer side; none: whole pictures."""

    model: str
    crop_padding: float | None = Field(None, ge=0, le=4)
    batch_size: int = Field(8, ge=1)


class ControlSettings(Section):
    """A ControlNet of stage 3 and the map that leads it. `annotator`: the model that makes the map,
    where one is needed; none: the usual one of the kind. Canny thresholds: 0 to 255."""

    model: str
    kind: Literal[
        "canny",
        "depth",
        "hed",
        "inpaint",
        "lineart",
        "normal",
        "seg",
        "softedge",
        "tile",
    ]
    annotator: str | None = None
    low: int = Field(100, ge=0, le=255)
    high: int = Field(200, ge=0, le=255)
    conditioning_scale: float = Field(1.0, ge=0, le=2)
    guidance_start: float = Field(0.0, ge=0, le=1)
    guidance_end: float = Field(1.0, ge=0, le=1)


class RerenderSettings(Section):
    """Stage 3. `controls`: which of the settings' `controls` lead it, together. `padding`,
    `mask_blur` and `dilate` in pixels of the picture. `min_structure`: a share of edges, 0 to 1; a
    result that keeps fewer is drawn again at lower strength. `cache_interval`: as in generate."""

    controls: tuple[str, ...] = ("canny",)
    prompt: str | None = None
    negative_prompt: str = ""
    strength: float = Field(0.75, gt=0, le=1)
    steps: int = Field(20, ge=1, le=1000)
    cfg_scale: float = Field(7.0, ge=0, le=50)
    sampler: str = "DPM++ 2M Karras"
    cache_interval: int = Field(1, ge=1, le=10)
    width: int = Field(512, ge=64, le=4096, multiple_of=8)
    height: int = Field(512, ge=64, le=4096, multiple_of=8)
    padding: int = Field(32, ge=0)
    mask_blur: int = Field(4, ge=0)
    dilate: int = Field(4, ge=-64, le=256)
    aspect_buckets: bool = False
    color_correction: bool = False
    min_structure: float = Field(0.0, ge=0, le=1)
    batch_size: int = Field(4, ge=1)


class RunSettings(Section):
    """How the shots go through. `batch_size`: shots in memory at a time; `format`, `quality`: of
    the pictures that come out (quality of JPEG and WebP, 1 to 100). `allow_pickle`: read .ckpt,
    .pt and .pth files of weights; `torch_compile`: the UNet's and ControlNets' blocks, at their
    first call. `low_memory`: slower, but with only the models at work on a GPU, or in the memory of
    a CPU, and the VAE in tiles."""

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
