"""Aspect-ratio buckets: the training size of each picture, and the steps of an epoch.

By the rules of kohya's sd-scripts (library/train_util.py, BucketManager), so that a data set falls
into the same buckets as there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from ...configs.errors import UsageError

Size = tuple[int, int]
"""Width and height in pixels."""
_LONGEST = 32_768
"""Longest side of a bucket in pixels."""


class BucketError(UsageError):
    """Impossible bucket settings."""


@dataclass(frozen=True)
class Fit:
    """A picture in its bucket: resized to `resized_wh`, center-cropped to `bucket_wh`."""

    bucket_wh: Size
    resized_wh: Size

    @property
    def crop_xyxy(self) -> tuple[int, int, int, int]:
        """The crop's box in the resized picture."""
        left = (self.resized_wh[0] - self.bucket_wh[0]) // 2
        top = (self.resized_wh[1] - self.bucket_wh[1]) // 2
        return left, top, left + self.bucket_wh[0], top + self.bucket_wh[1]

    @property
    def cropped(self) -> float:
        """Share of the picture that is cropped away, 0 to 1."""
        return 1 - math.prod(self.bucket_wh) / math.prod(self.resized_wh)


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """kohya's bucket options.

    Attributes:
        resolution_wh: Its area is the greatest area of a bucket.
        enable_bucket: Off, every picture is cropped to `resolution_wh`.
        min_bucket_reso: Least side in pixels.
        max_bucket_reso: Greatest side in pixels.
        bucket_reso_steps: Sides are multiples of this.
        bucket_no_upscale: Smaller pictures keep their size, and the limits of sides do not apply.
    """

    resolution_wh: Size = (768, 768)
    enable_bucket: bool = True
    min_bucket_reso: int = 320
    max_bucket_reso: int = 1280
    bucket_reso_steps: int = 64
    bucket_no_upscale: bool = False

    def __post_init__(self) -> None:
        step = self.bucket_reso_steps
        if step < 8 or step % 8:
            raise BucketError(
                f"bucket_reso_steps {step}: expected a multiple of 8, the VAE's factor; set 64"
            )
        for side in self.resolution_wh:
            if not 64 <= side <= _LONGEST or side % 8:
                near = min(max(64, round(side / 8) * 8), _LONGEST)
                raise BucketError(
                    f"resolution {side}: expected a multiple of 8, the VAE's factor, from 64 to "
                    f"{_LONGEST}; set {near}"
                )
        if not self.enable_bucket:
            return
        low, high = min(self.resolution_wh), max(self.resolution_wh)
        if self.min_bucket_reso > low:
            raise BucketError(
                f"min_bucket_reso {self.min_bucket_reso} is above the resolution {low}: expected "
                f"at most that; lower min_bucket_reso"
            )
        if self.max_bucket_reso < high:
            raise BucketError(
                f"max_bucket_reso {self.max_bucket_reso} is below the resolution {high}: expected "
                f"at least that; raise max_bucket_reso"
            )
        for name in ("min_bucket_reso", "max_bucket_reso"):
            if getattr(self, name) % step or not step <= getattr(self, name) <= _LONGEST:
                raise BucketError(
                    f"{name} {getattr(self, name)}: expected a multiple of bucket_reso_steps "
                    f"{step}, from {step} to {_LONGEST}"
                )

    @cached_property
    def sizes(self) -> tuple[Size, ...]:
        """All buckets, sorted (not used with `bucket_no_upscale`).

        >>> Buckets(resolution_wh=(512, 512), min_bucket_reso=384, max_bucket_reso=640).sizes
        ((384, 640), (448, 576), (512, 512), (576, 448), (640, 384))
        """
        if not self.enable_bucket:
            return (self.resolution_wh,)
        step, area = self.bucket_reso_steps, math.prod(self.resolution_wh)
        square = math.isqrt(area) // step * step
        found = {(square, square)}
        for side in range(self.min_bucket_reso, self.max_bucket_reso + 1, step):
            other = min(self.max_bucket_reso, area // side // step * step)
            if other >= self.min_bucket_reso:
                found |= {(side, other), (other, side)}
        return tuple(sorted(found))

    def fit(self, size_wh: Size) -> Fit:
        """Return the bucket and resizing of an upright picture of this size.

        >>> Buckets().fit((683, 1024))
        Fit(bucket_wh=(640, 896), resized_wh=(640, 960))
        """
        if self.enable_bucket and self.bucket_no_upscale:
            return self._shrunk(size_wh)
        aspect = size_wh[0] / size_wh[1]
        bucket = size_wh
        if size_wh not in self.sizes:
            bucket = min(self.sizes, key=lambda wh: abs(wh[0] / wh[1] - aspect))
        wide = aspect > bucket[0] / bucket[1]
        scale = bucket[1] / size_wh[1] if wide else bucket[0] / size_wh[0]
        return Fit(bucket, (int(size_wh[0] * scale + 0.5), int(size_wh[1] * scale + 0.5)))

    def _shrunk(self, size_wh: Size) -> Fit:
        """Scale down only; the side that keeps the aspect better becomes a multiple of the step."""
        step, area = self.bucket_reso_steps, math.prod(self.resolution_wh)
        resized = size_wh
        if math.prod(size_wh) > area:
            aspect = size_wh[0] / size_wh[1]
            ideal_width = math.sqrt(area * aspect)
            width, height = self._step(ideal_width), self._step(area / ideal_width)
            by_width = width / self._step(width / aspect)
            by_height = self._step(height * aspect) / height
            if abs(by_width - aspect) < abs(by_height - aspect):
                resized = width, int(width / aspect + 0.5)
            else:
                resized = int(height * aspect + 0.5), height
        longest = 4 * area // step  # else a line of pixels would have a bucket as long
        width, height = (max(step, min(side, longest) // step * step) for side in resized)
        if width > resized[0] or height > resized[1]:  # a picture below one step
            scale = max(width / resized[0], height / resized[1])
            resized = math.ceil(resized[0] * scale), math.ceil(resized[1] * scale)
        return Fit((width, height), resized)

    def _step(self, side: float) -> int:
        rounded = int(side + 0.5)
        return max(self.bucket_reso_steps, rounded - rounded % self.bucket_reso_steps)


def steps_per_epoch(
    pictures: Iterable[int], batch_size: int, gradient_accumulation_steps: int = 1
) -> int:
    """Optimizer steps of an epoch. `pictures`: of each bucket, with repeats; a batch is from one
    bucket, so the last batch of each may be short.

    >>> steps_per_epoch([65 * 6], 2)
    195
    """
    batches = sum(math.ceil(count / batch_size) for count in pictures)
    return math.ceil(batches / gradient_accumulation_steps)
