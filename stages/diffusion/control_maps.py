"""Control maps: edges, depth and the like of a crop, which lead a ControlNet.

A control takes crops, uint8 (h, w, 3) RGB, with masks of what is redrawn, bool (h, w), and gives
float32 (h, w, 3) maps, 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from ..accel.offload import wake

Arrays = Sequence[np.ndarray]


class Control(Protocol):
    """Crops and masks of one size to control maps."""

    def __call__(self, images: Arrays, masks: Arrays) -> list[np.ndarray]: ...

    def modules(self) -> list[Any]:
        """The torch modules that it runs."""
        ...


class _WithoutModels:
    def modules(self) -> list[Any]:
        return []


class _WithModel:
    model: Any

    def modules(self) -> list[Any]:
        return [self.model]


@dataclass(frozen=True)
class Canny(_WithoutModels):
    """White edges on black. `low`, `high`: OpenCV's hysteresis thresholds, 0 to 255."""

    low: int = 100
    high: int = 200

    def __call__(self, images: Arrays, masks: Arrays) -> list[np.ndarray]:
        grey = [cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in images]
        return [_three(cv2.Canny(g, self.low, self.high) / 255) for g in grey]


@dataclass(frozen=True)
class Depth(_WithModel):
    """Nearness, 1 at the nearest point of the crop and 0 at the farthest, as MiDaS gives it.

    `model`, `processor`: a depth estimator of transformers (DPT, Depth Anything …) whose
    `predicted_depth` grows towards the camera.
    """

    model: Any
    processor: Any

    def __call__(self, images: Arrays, masks: Arrays) -> list[np.ndarray]:
        import torch

        wake(self.model)
        inputs = self.processor(images=list(images), return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            near = self.model(**inputs).predicted_depth.float().cpu().numpy()
        sizes = [i.shape[1::-1] for i in images]
        pairs = zip(near, sizes, strict=True)
        return [_three(spread(cv2.resize(n, s, interpolation=cv2.INTER_CUBIC))) for n, s in pairs]


@dataclass(frozen=True)
class Tile(_WithoutModels):
    """The crop itself, softened by `blur` pixels: keeps colours and layout, adds detail."""

    blur: float = 0.0

    def __call__(self, images: Arrays, masks: Arrays) -> list[np.ndarray]:
        soft = (cv2.GaussianBlur(i, (0, 0), self.blur) if self.blur else i for i in images)
        return [s.astype(np.float32) / 255 for s in soft]


@dataclass(frozen=True)
class Inpaint(_WithoutModels):
    """The crop with -1 where it is redrawn, as `control_v11p_sd15_inpaint` was trained."""

    def __call__(self, images: Arrays, masks: Arrays) -> list[np.ndarray]:
        pairs = zip(images, masks, strict=True)
        return [
            np.where(mask[..., None], np.float32(-1), image.astype(np.float32) / 255)
            for image, mask in pairs
        ]


@dataclass(frozen=True)
class Annotator:
    """A preprocessor of controlnet-aux (HED, PidiNet, Lineart, NormalBae …). It works at multiples
    of 64 pixels; its map is resized to the crop."""

    detector: Any
    resolution: int = 512

    def modules(self) -> list[Any]:
        import torch

        parts = [self.detector, *getattr(self.detector, "__dict__", {}).values()]
        return [part for part in parts if isinstance(part, torch.nn.Module)]

    def __call__(self, images: Arrays, masks: Arrays) -> list[np.ndarray]:
        from PIL import Image

        out = []
        wake(self.detector)
        for image in images:
            found = self.detector(
                Image.fromarray(image),
                detect_resolution=self.resolution,
                image_resolution=self.resolution,
                output_type="np",
            )
            size_wh = image.shape[1], image.shape[0]
            out.append(_three(cv2.resize(np.asarray(found), size_wh) / 255))
        return out


@dataclass(frozen=True)
class Segmentation(_WithModel):
    """Classes in colours. `model`, `processor`: a semantic segmenter of transformers (ADE20K for
    `control_v11p_sd15_seg`); `palette`: uint8 (classes, 3)."""

    model: Any
    processor: Any
    palette: np.ndarray

    def __call__(self, images: Arrays, masks: Arrays) -> list[np.ndarray]:
        import torch

        wake(self.model)
        inputs = self.processor(images=list(images), return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            out = self.model(**inputs)
        sizes = [i.shape[:2] for i in images]
        maps = self.processor.post_process_semantic_segmentation(out, target_sizes=sizes)
        return [self.palette[m.cpu().numpy()].astype(np.float32) / 255 for m in maps]


def spread(values: np.ndarray) -> np.ndarray:
    """A map stretched to 0..1; a flat one becomes 0."""
    low, high = float(values.min()), float(values.max())
    return ((values - low) / max(high - low, 1e-6)).astype(np.float32)


def _three(values: np.ndarray) -> np.ndarray:
    """float32 (h, w, 3) of a map with one channel or three."""
    grey = values[..., None] if values.ndim == 2 else values
    return np.broadcast_to(grey, (*grey.shape[:2], 3)).astype(np.float32)
