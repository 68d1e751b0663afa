"""Settings of stage 3: ControlNets and the re-rendering of the masked region."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Section

OWN_MODELS = {
    "edit": ("an edit model", "black-forest-labs/FLUX.1-Kontext-dev"),
    "inpaint": ("an inpainting model", "black-forest-labs/FLUX.1-Fill-dev"),
}
"""Methods of stage 3 with models of their own: what these are, and one of them."""


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
    low: int = Field(default=100, ge=0, le=255)
    high: int = Field(default=200, ge=0, le=255)
    conditioning_scale: float = Field(default=1.0, ge=0, le=2)
    guidance_start: float = Field(default=0.0, ge=0, le=1)
    guidance_end: float = Field(default=1.0, ge=0, le=1)


class RerenderOptions(Section):
    """How stage 3 draws.

    Args:
        strength: how much of a product is redrawn, above 0 to 1; 1 is all.
        edit_strength: the strength where an edit or a prompt of stage 3 asks for a change; null:
            `strength`. Setting `strength` alone over a preset makes it null.
        steps: denoising steps, of which `strength` are run.
        cfg_scale: classifier-free guidance; 1 is none.
        sampler: A1111's name, such as "DPM++ 2M Karras".
        cache_interval: DeepCache's; 1 is off.
        width: pixels at which a window round a product is drawn.
        height: pixels at which it is drawn.
        padding: pixels of the picture round a mask that its window shows.
        mask_blur: sigma of the feather, in pixels of the picture.
        dilate: pixels of the picture by which masks grow, or, below 0, shrink.
        aspect_buckets: adapt a window's size to its mask's aspect.
        color_correction: take off the model's own tint.
        keep_color: products that no edit and no prompt of stage 3 asks to change keep their
            colours; details are new.
        min_structure: least share of edges that a result keeps, 0 to 1; one that keeps fewer is
            drawn again at lower strength, and the best one is kept. An edit model draws again
            with other seeds, and a picture whose best result keeps fewer is refused.
        batch_size: windows in one call of the pipeline.
    """

    strength: float = Field(default=0.75, gt=0, le=1)
    edit_strength: float | None = Field(default=None, gt=0, le=1)
    steps: int = Field(default=20, ge=1, le=1000)
    cfg_scale: float = Field(default=7.0, ge=0, le=50)
    sampler: str = "DPM++ 2M Karras"
    cache_interval: int = Field(default=1, ge=1, le=10)
    width: int = Field(default=512, ge=64, le=4096)
    height: int = Field(default=512, ge=64, le=4096)
    padding: int = Field(default=32, ge=0)
    mask_blur: int = Field(default=4, ge=0, le=1024)
    dilate: int = Field(default=4, ge=-64, le=256)
    aspect_buckets: bool = False
    color_correction: bool = False
    keep_color: bool = False
    min_structure: float = Field(default=0.0, ge=0, le=1)
    batch_size: int = Field(default=4, ge=1)


class _Prompts(Section):
    """What leads stage 3; a base of its own so that it is listed first."""

    method: Literal["controlnet", "inpaint", "edit"] = "controlnet"
    model: str | None = None
    controls: tuple[str, ...] = ("canny",)
    prompt: str | None = None
    negative_prompt: str = ""


class RerenderSettings(RerenderOptions, _Prompts):
    """Stage 3. `method`: `controlnet` redraws a product by ControlNet inpainting, `inpaint` by an
    inpainting model alone, `edit` has an edit model redraw its window by an instruction. `model`:
    what draws; none: `generate.model`. `controls`: which of the settings' `controls` lead
    ControlNet inpainting, together."""

    @model_validator(mode="after")
    def _the_method_has_its_models(self) -> RerenderSettings:
        if self.method == "controlnet" and not self.controls:
            raise ValueError("rerender.controls: expected at least one control, as in [canny]")
        if self.method != "controlnet" and self.model is None:
            raise ValueError(wrong_model(self.method, "is not set"))
        return self


def wrong_model(method: str, what: str) -> str:
    """The sentence for a `rerender.model` that is not one for its method; `what` it is."""
    kind, example = OWN_MODELS[method]
    return (
        f"rerender.method {method}: rerender.model {what}; expected {kind}, such as {example}; set "
        "rerender.model"
    )
