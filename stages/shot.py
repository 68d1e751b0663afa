"""The value that travels through the program: a picture on its way through the three stages.

Knows no files, no models, no settings. Everything here is frozen; a stage hands on new values
(`dataclasses.replace`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ..configs.errors import one_line

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels; the end is exclusive."""
Status = Literal["pending", "kept", "enhanced", "skipped", "failed"]


@dataclass(frozen=True)
class Detection:
    """A product that was found.

    `box_xyxy`: pixels; `score`: 0..1; `label`: the class asked for; `mask`: bool (H, W), True on
    the product, or None before segmentation; `mask_score`: the segmenter's own IoU guess;
    `verify_score`: 0..1, how sure the second look (CLIP) is, None where there was none. `prompt`,
    `edit`, `strength`: this instance's own for stage 3; "" and None leave what goes for all.
    Raises ValueError for an empty box or a mask that is not boolean.
    """

    box_xyxy: Box
    score: float
    label: str
    mask: np.ndarray | None = None
    mask_score: float | None = None
    verify_score: float | None = None
    prompt: str = ""
    edit: str = ""
    strength: float | None = None

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.box_xyxy
        if not (x1 > x0 and y1 > y0):
            raise ValueError(f"box {self.box_xyxy}: expected x0 < x1 and y0 < y1")
        if self.mask is not None and (self.mask.dtype != bool or self.mask.ndim != 2):
            raise ValueError(f"mask {self.mask.dtype} {self.mask.shape}: expected bool (H, W)")
        if self.strength is not None and not 0 < self.strength <= 1:
            raise ValueError(f"strength {self.strength}: expected above 0, to 1")


@dataclass(frozen=True)
class Skip:
    """Why a picture was left out: a code for machines, a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Failure:
    """What went wrong with one shot, and in which stage."""

    kind: str
    message: str
    where: str


@dataclass(frozen=True)
class Prompted:
    """A picture that stage 1 is to draw. `prediction`: `id` and `version` where a host drew it."""

    prompt: str
    negative_prompt: str
    seed: int
    prediction: Mapping[str, str] | None = None


@dataclass(frozen=True)
class FileInput:
    """A photo that exists; `seed` is for stage 3. `content`: what tells its bytes from others':
    `sha256`, `bytes`, `mtime_ns`; None before they are read."""

    path: str
    seed: int
    content: Mapping[str, str | int] | None = None


@dataclass(frozen=True)
class Shot:
    """A picture on its way.

    `image`, `result`: uint8 (H, W, 3) RGB; `alpha`: uint8 or uint16 (H, W); `control`: uint8
    (h, w, 3), the control map of the crop; `blend`: float32 (H, W), the weight 0..1 with which
    the re-render was pasted: where it is 0, `result` equals `image`. `deep`, `deep_result`: the
    same two with 16 bits a sample, uint16 (H, W, 3), where the source has them. `prompts`,
    `negative_prompts`: what stage 3 drew its instances from; `notes`: what a user should know of
    the source. `settings`: those of its own over the run's, by dotted name; `company`: the
    shots that went through the stages in one batch with it, itself among them, as they began.
    """

    id: str
    source: Prompted | FileInput
    classes: tuple[str, ...]
    edit: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    company: tuple[Shot, ...] = ()
    image: np.ndarray | None = None
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    deep: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    detections: tuple[Detection, ...] = ()
    control: np.ndarray | None = None
    blend: np.ndarray | None = None
    result: np.ndarray | None = None
    deep_result: np.ndarray | None = None
    prompts: tuple[str, ...] = ()
    negative_prompts: tuple[str, ...] = ()
    status: Status = "pending"
    reason: Skip | None = None
    failure: Failure | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wide = dict.fromkeys(("deep", "deep_result"), "uint16")
        for name, kind in ({"image": "uint8", "result": "uint8"} | wide).items():
            value = getattr(self, name)
            if value is not None and (
                value.dtype != kind or value.ndim != 3 or value.shape[2] != 3
            ):
                raise ValueError(
                    f"{name} {value.dtype} {value.shape}: expected {kind} (H, W, 3), RGB"
                )

    @property
    def open(self) -> bool:
        """Still on its way: neither skipped nor failed nor finished."""
        return self.status == "pending"

    @property
    def seed(self) -> int:
        return self.source.seed

    @property
    def mask(self) -> np.ndarray | None:
        """Union of the detections' masks, bool (H, W); None where there is none."""
        masks = [d.mask for d in self.detections if d.mask is not None]
        return np.logical_or.reduce(masks) if masks else None

    def skip(self, reason: Skip) -> Shot:
        """The shot, left out for a reason."""
        return replace(self, status="skipped", reason=reason)

    def fail(self, error: BaseException, where: str) -> Shot:
        """The shot, ended by an error in stage `where`."""
        message = one_line(error) or type(error).__name__
        return replace(self, status="failed", failure=Failure(type(error).__name__, message, where))

    def with_metrics(self, **numbers: float) -> Shot:
        """The shot with more numbers measured on the way."""
        return replace(self, metrics={**self.metrics, **numbers})
