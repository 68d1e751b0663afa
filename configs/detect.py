"""Settings of stage 2: classes, detector, verification, segmenter, choice of masks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from .base import Section

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ClassSettings(Section):
    """A class of product. `phrases`: what the detector is asked, in place of the name; `reject`:
    what the class must not be taken for; `threshold`: over `detect.box_threshold`; `prompt` and
    `edit`: for stage 3, where the command line gives none."""

    phrases: tuple[Phrase, ...] = ()
    reject: tuple[Phrase, ...] = ()
    threshold: float | None = Field(default=None, ge=0, le=1)
    prompt: str | None = None
    edit: str = ""


class DetectOptions(Section):
    """How products are found. All are shares, 0 to 1, but the paddings and the batch size.

    Args:
        box_threshold: least score of a box (ADetailer's confidence); a class's own threshold
            replaces it.
        text_threshold: least score of its words, for models that score words.
        nms_iou: boxes of one class that overlap by more count once; a box is also dropped where a
            reject phrase of its class has a better-scored box with this overlap.
        cross_class_iou: of boxes of two classes that overlap by this, the better one stays; None
            keeps both.
        second_look: paddings of close-ups, shares of a box's longer side, by which boxes in doubt
            are scored again; empty: none.
        batch_size: pictures in one call of the model.
    """

    box_threshold: float = Field(default=0.35, ge=0, le=1)
    text_threshold: float = Field(default=0.25, ge=0, le=1)
    nms_iou: float = Field(default=0.5, ge=0, le=1)
    cross_class_iou: float | None = Field(default=0.8, gt=0, le=1)
    second_look: tuple[Annotated[float, Field(ge=0, le=4)], ...] = ()
    batch_size: int = Field(default=8, ge=1)


class _Model(Section):
    """The detector; a base of its own so that it is listed first. `library`: whose code runs it."""

    model: str
    library: Literal["transformers"] = "transformers"

    @field_validator("library", mode="before")
    @classmethod
    def _not_the_original(cls, value: Any) -> Any:
        if value == "groundingdino-py":
            raise ValueError(
                "groundingdino-py calls methods of BertModel that transformers 5 no longer has: "
                "expected transformers, which reads the same groundingdino_*.pth and finds the "
                "same boxes"
            )
        return value


class DetectSettings(DetectOptions, _Model):
    """Stage 2, where."""


class VerifySettings(Section):
    """A second look at each crop, by a CLIP or an image classifier.

    Args:
        threshold: least share, 0 to 1, of the class against its reject phrases and the other
            classes, or against a classifier's other labels.
        relabel: whether a crop that is rather another of the classes asked takes that class.
        batch_size: crops in one call of the model.
    """

    model: str = "openai/clip-vit-base-patch32"
    threshold: float = Field(default=0.5, ge=0, le=1)
    relabel: bool = False
    batch_size: int = Field(default=8, ge=1)


class SegmentSettings(Section):
    """Stage 2, which pixels. `library`: whose code runs the model; segment-anything wants its own
    .pth. `crop_padding`: show each box alone, in the square round it padded by this share of its
    longer side; none: whole pictures."""

    model: str
    library: Literal["transformers", "segment-anything"] = "transformers"
    crop_padding: float | None = Field(default=None, ge=0, le=4)
    batch_size: int = Field(default=8, ge=1)


class MaskSettings(Section):
    """ADetailer's mask options, with its defaults except for `dilate_erode`, here 0.

    Args:
        mask_min_ratio: least share of the picture, 0 to 1, that a mask (not its box) covers.
        mask_max_ratio: largest share.
        mask_k: how many masks stay; 0 for all.
        mask_filter_method: whether these are the largest ("area") or the best ("confidence").
        sort: the order of the instances.
        x_offset: pixels to the right.
        y_offset: pixels upwards.
        dilate_erode: pixels by which masks grow, or, below 0, shrink.
        merge_invert: one mask of all; "merge_and_invert": of everything else, the scene.
        fill_holes: largest hole that is filled, a share of the mask, or True for all.
        drop_islands: least part that is kept, a share of the largest part.
        smooth: sigma in pixels of the smoothing of edges.
    """

    mask_min_ratio: float = Field(default=0.0, ge=0, le=1)
    mask_max_ratio: float = Field(default=1.0, ge=0, le=1)
    mask_k: int = Field(default=0, ge=0)
    mask_filter_method: Literal["area", "confidence"] = "area"
    sort: Literal["none", "left-to-right", "center-to-edge", "area"] = "none"
    x_offset: int = 0
    y_offset: int = 0
    dilate_erode: int = Field(default=0, ge=-1024, le=1024)
    merge_invert: Literal["none", "merge", "merge_and_invert"] = "none"
    fill_holes: bool | float = False
    drop_islands: float = Field(default=0.0, ge=0, le=1)
    smooth: int = Field(default=0, ge=0, le=256)

    @property
    def is_default(self) -> bool:
        """Whether every mask goes through as it is."""
        return not self.model_dump(exclude_defaults=True)

    @field_validator("sort", "merge_invert", mode="before")
    @classmethod
    def _yaml_reads_none_as_null(cls, value: Any) -> Any:
        return "none" if value is None else value

    @field_validator("fill_holes", mode="before")
    @classmethod
    def _a_switch_or_a_share(cls, value: Any) -> bool | float:
        if isinstance(value, bool):
            return value
        if isinstance(value, (int, float)) and 0 <= value <= 1:
            return float(value)
        raise ValueError(
            f"mask.fill_holes {value!r}: expected true, false or a share from 0 to 1; "
            "set mask.fill_holes"
        )

    @model_validator(mode="after")
    def _some_ratio_passes(self) -> MaskSettings:
        if self.mask_min_ratio > self.mask_max_ratio:
            raise ValueError(
                f"mask.mask_min_ratio {self.mask_min_ratio:g} is above mask.mask_max_ratio "
                f"{self.mask_max_ratio:g}: no mask would pass; swap them"
            )
        return self
