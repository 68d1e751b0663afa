"""The value that travels through the program: a picture on its way through the three stages.

Everything here is frozen; a stage hands on new values (`dataclasses.replace`). Arrays inside are
shared between copies and not written to, except that stage 3 draws into `result` and `blend` arrays
of its own before it hands them on. Values with equal fields are equal, arrays by their contents.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..configs.errors import MissingDependencyError, one_line

if TYPE_CHECKING:
    import supervision

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels; the end is exclusive."""
Status = Literal["pending", "kept", "enhanced", "skipped", "failed"]


def seed_or_random(seed: int) -> int:
    """Return a random seed for A1111's -1, and any other as it is."""
    return secrets.randbelow(2**32) if seed == -1 else seed


def shot_seed(run_seed: int, shot_id: str, attempt: int = 0) -> int:
    """A shot's seed, 32 bits, which does not depend on order, batches or resuming.

    >>> shot_seed(0, "sneaker-0001") == shot_seed(0, "sneaker-0001")
    True
    """
    text = f"{run_seed}/{shot_id}/{attempt}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")


def on_white(image: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """uint8 (H, W, 3) as it shows on white through its alpha, uint8 or uint16 (H, W); the same
    array where there is none."""
    if alpha is None:
        return image
    return np.rint(255 - (255 - image) * opacity(alpha)[..., None]).astype(np.uint8)


def opacity(alpha: np.ndarray) -> np.ndarray:
    """Alpha, uint8 or uint16, as float32 from 0, clear, to 1, opaque."""
    return alpha / np.float32(np.iinfo(alpha.dtype).max)


class _Value:
    """Equality, hash and repr for dataclasses with array fields."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = zip(_values(self), _values(other), strict=True)
        return all(a is b or _equal(a, b) for (_, a), (_, b) in pairs)

    def __repr__(self) -> str:
        """Without what has its default; an array by its type and shape."""
        parts = [f"{name}={_short(value)}" for name, value in _values(self) if _is_set(value)]
        return f"{type(self).__name__}({', '.join(parts)})"


def _values(value: Any) -> Iterator[tuple[str, Any]]:
    return ((f.name, getattr(value, f.name)) for f in fields(value))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)


def _is_set(value: Any) -> bool:
    return isinstance(value, np.ndarray) or value not in (None, "", (), {})


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {'x'.join(map(str, value.shape))}>"
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else repr(value)


@dataclass(frozen=True, eq=False, repr=False)
class Detection(_Value):
    """A product that was found.

    Args:
        box_xyxy: pixels.
        score: 0..1.
        label: the class asked for.
        mask: bool (H, W), True on the product; None before segmentation.
        mask_score: the segmenter's own estimate of the mask's IoU.
        verify_score: 0..1, the verifier's (CLIP); None where there was none.
        prompt: this instance's own in stage 3; "": the one for all.
        edit: this instance's own in stage 3; "": the one for all.
        strength: this instance's own in stage 3, above 0 to 1; None: the one for all.

    Raises:
        ValueError: for an empty box, a mask that is not boolean, or a strength outside its range.

    >>> Detection((0, 0, 4, 4), 0.9, "mug", np.ones((4, 4), bool))
    Detection(box_xyxy=(0, 0, 4, 4), score=0.9, label='mug', mask=<bool 4x4>)
    """

    box_xyxy: Box
    score: float
    label: str
    mask: np.ndarray | None = None
    _: KW_ONLY
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

    def __hash__(self) -> int:
        return hash((self.box_xyxy, self.score, self.label))

    def to_supervision(self) -> supervision.Detections:
        """The detection as one row of supervision's `Detections`, its label as `class_name`.
        `supervision.Detections.merge` joins those of a shot. Needs the extra `supervision`."""
        try:
            import supervision
        except ImportError:
            raise MissingDependencyError("supervision", "supervision") from None
        return supervision.Detections(
            xyxy=np.array([self.box_xyxy], np.float32),
            mask=None if self.mask is None else self.mask[None],
            confidence=np.array([self.score], np.float32),
            class_id=np.array([0]),
            data={"class_name": np.array([self.label])},
        )


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


@dataclass(frozen=True, eq=False, repr=False)
class Shot(_Value):
    """A picture on its way.

    Args:
        id: unique in a run; names its files.
        source: a prompt to draw, or a photo.
        classes: the products to look for.
        edit: what to change about them in stage 3, such as "red leather".
        settings: settings of this shot over the run's, by dotted name.
        batch: the shots that went through the stages in one batch, this one among them, each as
            it began.
        image: uint8 (H, W, 3), RGB.
        alpha: uint8 or uint16 (H, W).
        icc_profile: of the source file.
        exif: of the source file.
        image16: `image` with 16 bits a sample, uint16 (H, W, 3), where the source has them.
        notes: what a user should know of the source.
        detections: the products found, then with masks.
        control: uint8 (h, w, 3), the first control map.
        blend: float32 (H, W), 0..1, how much of the re-render was pasted; where it is 0, `result`
            equals `image`.
        result: uint8 (H, W, 3), RGB.
        result16: `result` with 16 bits a sample, uint16 (H, W, 3).
        prompts: what each instance was drawn from in stage 3.
        negative_prompts: the same.
        status: "pending" while `open`.
        reason: why it was skipped.
        failure: why it failed.
        metrics: numbers measured on the way, by name.
        seconds: spent in each stage, by name.

    Raises:
        ValueError: for pictures of another type or shape.
    """

    id: str
    source: Prompted | FileInput
    classes: tuple[str, ...]
    _: KW_ONLY
    edit: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    batch: tuple[Shot, ...] = ()
    image: np.ndarray | None = None
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    image16: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    detections: tuple[Detection, ...] = ()
    control: np.ndarray | None = None
    blend: np.ndarray | None = None
    result: np.ndarray | None = None
    result16: np.ndarray | None = None
    prompts: tuple[str, ...] = ()
    negative_prompts: tuple[str, ...] = ()
    status: Status = "pending"
    reason: Skip | None = None
    failure: Failure | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wide = dict.fromkeys(("image16", "result16"), "uint16")
        for name, kind in ({"image": "uint8", "result": "uint8"} | wide).items():
            value = getattr(self, name)
            if value is not None and (
                value.dtype != kind or value.ndim != 3 or value.shape[2] != 3
            ):
                raise ValueError(
                    f"{name} {value.dtype} {value.shape}: expected {kind} (H, W, 3), RGB"
                )

    def __hash__(self) -> int:
        return hash((self.id, self.classes, self.seed))

    @property
    def open(self) -> bool:
        """Still on its way: neither skipped nor failed nor finished."""
        return self.status == "pending"

    @property
    def seed(self) -> int:
        return self.source.seed

    @property
    def path(self) -> str | None:
        """The photo's file; None where it is drawn from a prompt."""
        return self.source.path if isinstance(self.source, FileInput) else None

    @property
    def prompt(self) -> str | None:
        """The prompt that it is drawn from; None for a photo."""
        return self.source.prompt if isinstance(self.source, Prompted) else None

    @property
    def on_white(self) -> np.ndarray | None:
        """`image` on white where it is transparent: what models are to see."""
        return None if self.image is None else on_white(self.image, self.alpha)

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
