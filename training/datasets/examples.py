"""Training examples: the pictures of a data set, checked, hashed and assigned to buckets.

A bad picture is left out with a message.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...checkpoints.hashing import sha256
from ...pipeline.images.masks import read_mask
from ...pipeline.images.read import PictureError, printable
from . import images as dataset_images
from .buckets import Buckets, Fit
from .dataset_folder import Dataset, DatasetError

if TYPE_CHECKING:
    from PIL import Image


_NOT_READ = {
    "not_read": "neither pictures nor captions of one",
    "more_lines": "lines behind the caption",
}


@dataclass(frozen=True)
class Example:
    """A picture to learn. `digest`: of its file's bytes; `weight`: of its loss."""

    path: Path
    name: str
    text: str
    repeats: int
    size_wh: tuple[int, int]
    fit: Fit
    digest: str
    mask: Path | None = None
    mask_digest: str = ""
    weight: float = 1.0

    @property
    def identity(self) -> list[Any]:
        """What must be unchanged when a training is resumed."""
        return [self.digest[:16], self.text, self.repeats, self.mask_digest[:16]]

    def pixels(self, *, flip: bool = False, jitter: np.random.Generator | None = None) -> Any:
        """float32 (3, H, W) in -1 to 1, at the bucket's size. `jitter`: random colour changes."""
        image = self._fitted(dataset_images.read(self.path), flip)
        if jitter is not None:
            image = _jittered(image, jitter)
        return np.asarray(image, np.float32).transpose(2, 0, 1) / 127.5 - 1

    def mask_at(self, size_wh: tuple[int, int], *, flip: bool = False) -> np.ndarray:
        """float32 (h, w) in 0 to 1, area-averaged from the bucket's size; ones without a mask."""
        from PIL import Image

        if self.mask is None:
            return np.ones((size_wh[1], size_wh[0]), np.float32)
        mask = Image.fromarray(read_mask(self.mask, self.size_wh))
        small = self._fitted(mask, flip).resize(size_wh, Image.Resampling.BOX)
        return np.asarray(small, np.float32) / 255

    def _fitted(self, image: Image.Image, flip: bool) -> Image.Image:
        from PIL import Image

        bucket, resized, box = self.fit.bucket_wh, self.fit.resized_wh, self.fit.crop_xyxy
        if math.prod(resized) <= 4 * math.prod(bucket):
            image = image.resize(resized, Image.Resampling.LANCZOS).crop(box)
        else:  # of a narrow picture hardly anything is left: without the rest
            x0, x1 = (x * image.width / resized[0] for x in box[::2])
            y0, y1 = (y * image.height / resized[1] for y in box[1::2])
            image = image.resize(bucket, Image.Resampling.LANCZOS, box=(x0, y0, x1, y1))
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image


def examples(
    dataset: Dataset,
    buckets: Buckets,
    *,
    instance_prompt: str = "",
    masks: bool = False,
    weight: float = 1.0,
) -> tuple[list[Example], list[str]]:
    """Return (usable pictures, a sentence for each problem); raises DatasetError without any.

    `instance_prompt`: replaces missing captions; `masks`: read masks too; `weight`: of the loss.
    """
    out: list[Example] = []
    problems = [problem.message for problem in dataset.problems]
    uncaptioned: list[str] = []
    for item in dataset.items:
        if item.is_unread:
            problems.append(f"left out: {item.name}: its caption cannot be read")
            continue
        text = item.text or (instance_prompt if item.is_uncaptioned else "")
        if not text.strip():
            uncaptioned.append(item.name)
            continue
        try:
            image = dataset_images.read(item.path)
            mask_digest = ""
            if masks and item.mask:
                read_mask(item.mask, image.size)
                mask_digest = sha256(item.mask)
            digest = sha256(item.path)
        except (PictureError, OSError) as error:
            problems.append(f"left out: {error}")
            continue
        problems += [f"{item.name}: {what}" for what in image.info["notes"]]
        out.append(
            Example(
                path=item.path,
                name=item.name,
                text=text,
                repeats=item.repeats,
                size_wh=image.size,
                fit=buckets.fit(image.size),
                digest=digest,
                mask=item.mask if masks else None,
                mask_digest=mask_digest,
                weight=weight,
            )
        )
    if uncaptioned and not out and len(uncaptioned) == len(dataset.items):
        raise DatasetError(
            f"{dataset.folder}: none of its {len(uncaptioned)} pictures has a caption: expected "
            ".txt files beside them or metadata.jsonl; write them by `visuals dataset caption`, or "
            "set instance_prompt"
        )
    if uncaptioned:
        problems.append(
            f"left out: {len(uncaptioned)} of {len(dataset.items)} pictures without a caption "
            f"({', '.join(uncaptioned)}); write captions, or set instance_prompt"
        )
    problems += [f"left out: {p.message}" for p in dataset.unused if p.code == "left_out"]
    for code, what in _NOT_READ.items():
        if names := [p.name for p in dataset.unused if p.code == code]:
            problems.append(f"not read: {what}: {', '.join(names)}")
    if not out:
        raise DatasetError(
            f"{dataset.folder}: no picture can be used: {problems[0]}; fix the data set"
        )
    if masks and not any(e.mask for e in out):
        raise DatasetError(
            f"{dataset.folder}: masked_loss, and no picture has a mask: expected masks/<name>; "
            "write them by `visuals export RUN --format kohya`"
        )
    if len(out) == 1 and weight == 1:
        problems.append(
            f"only one picture ({out[0].name}): the training will overfit; add more, 15 or so"
        )
    return out, [printable(text) for text in problems]


def split(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Return (training, held-out) pictures; at least one is for training."""
    count = max(1, round(share * len(examples))) if share else 0
    count = min(count, len(examples) - 1)
    order = np.random.default_rng(seed).permutation(len(examples))
    held = set(order[:count].tolist())
    return (
        [e for k, e in enumerate(examples) if k not in held],
        [e for k, e in enumerate(examples) if k in held],
    )


def _jittered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Change brightness, contrast and saturation by up to a tenth."""
    from PIL import ImageEnhance

    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(float(rng.uniform(0.9, 1.1)))
    return image
