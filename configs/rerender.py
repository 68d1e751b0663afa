"""Settings of stage 3: ControlNets and the re-rendering of the masked region."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Section


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
