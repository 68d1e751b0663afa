"""Dataset check: buckets, steps, captions and problems of a training folder, before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ..pipeline.images.masks import MaskError, read_mask
from ..pipeline.images.read import PictureError
from .datasets import images as dataset_images
from .datasets.buckets import Buckets, Fit, Size, steps_per_epoch
from .datasets.caption_edits import CountTokens, tag_frequency
from .datasets.dataset_folder import Dataset, Item
from .datasets.images import Problem
from .datasets.perceptual_hash import NEAR, Fingerprint, first_like

BROKEN = frozenset(
    ("unreadable", "no_caption", "empty_caption", "bad_caption", "bad_metadata", "outside")
    + ("missing_picture", "no_mask", "mask_size", "too_many")
)
"""Codes of problems that must be fixed before training; the others are warnings."""


@dataclass(frozen=True)
class CheckedPicture:
    """A picture as the trainer sees it. `size_wh`: upright, in pixels; `tokens`: of its caption, or
    None."""

    item: Item
    size_wh: Size
    fit: Fit
    tokens: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "file_name": self.item.name,
            "size": list(self.size_wh),
            "bucket": list(self.fit.bucket_wh),
            "cropped": round(self.fit.cropped, 4),
            "repeats": self.item.repeats,
            "text": self.item.text,
            "tokens": self.tokens,
            "mask": self.item.mask is not None,
        }


@dataclass(frozen=True)
class DatasetReport:
    """Report of a check. `buckets`: pictures in each, with repeats; `steps`: of an epoch."""

    dataset: Dataset
    seen: tuple[CheckedPicture, ...]
    problems: tuple[Problem, ...]
    buckets: dict[Size, int]
    steps: int
    settings: dict[str, Any]

    @property
    def broken(self) -> tuple[Problem, ...]:
        """Problems that must be fixed before training."""
        return tuple(p for p in self.problems if p.code in BROKEN)

    def as_json(self) -> dict[str, Any]:
        counts = Counter(p.code for p in self.problems)
        return {
            "folder": str(self.dataset.folder),
            "layout": self.dataset.layout,
            "tag": self.dataset.tag,
            "pictures": len(self.seen),
            "pictures_per_epoch": sum(self.buckets.values()),
            "steps_per_epoch": self.steps,
            "settings": self.settings,
            "buckets": [
                {"width": w, "height": h, "pictures": n} for (w, h), n in self.buckets.items()
            ],
            "tags": tag_frequency(s.item.text for s in self.seen),
            "counts": dict(counts),
            "broken": len(self.broken),
            "problems": [
                {"code": p.code, "file": p.name, "broken": p.code in BROKEN, "message": p.message}
                for p in self.problems
            ],
            "items": [s.as_json() for s in self.seen],
        }


def check_dataset(
    dataset: Dataset,
    *,
    buckets: Buckets,
    batch_size: int = 1,
    gradient_accumulation_steps: int = 1,
    count_tokens: CountTokens | None = None,
    max_token_length: int = 75,
    near: int = NEAR,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DatasetReport:
    """Decode every picture and compute buckets, steps and problems.

    `count_tokens`: counts tokens by the text encoder's tokenizer; `near`: bits of 64 by which the
    hashes of duplicates may differ; `progress`: receives (done, total).
    """
    problems = list(dataset.problems)
    seen: list[CheckedPicture] = []
    fingerprints: list[tuple[str, Fingerprint]] = []

    def note(code: str, name: str, what: str) -> None:
        problems.append(Problem(code, name, f"{name}: {what}"))

    for number, item in enumerate(dataset.items, 1):
        progress(number, len(dataset.items))
        for code, what in _caption(item):
            note(code, item.name, what)
        try:
            image = dataset_images.read(item.path)
        except PictureError as error:
            problems.append(Problem("unreadable", item.name, str(error)))
            continue
        for what in image.info["notes"]:
            note("converted", item.name, what)
        fit = buckets.fit(image.size)
        fingerprint = Fingerprint.of(image)
        like = first_like(fingerprint, fingerprints, near)
        if like is not None:
            note("duplicate", item.name, f"looks like {like}; delete one")
        fingerprints.append((item.name, fingerprint))
        for code, what in _size(item, image.size, fit):
            note(code, item.name, what)
        tokens = count_tokens(item.text) if count_tokens else None
        if tokens is not None and tokens > max_token_length:
            what = f"{tokens} tokens, truncated to {max_token_length} by the text encoder"
            note("long_caption", item.name, f"{what}; shorten it or raise max_token_length")
        seen.append(CheckedPicture(item, image.size, fit, tokens))
    tag = dataset.tag
    for s in seen:
        if tag and tag not in s.item.tags and s.item.text:
            note("no_tag", s.item.name, f"{tag!r} is not in its caption, as in most others")
    if len(seen) == 1:
        note("one_picture", seen[0].item.name, "the only picture; add more, 15 or so")
    if dataset.excess:
        problems.append(Problem("too_many", "", dataset.excess))
    problems += dataset.unused
    counts: Counter[Size] = Counter()
    for s in seen:
        counts[s.fit.bucket_wh] += s.item.repeats
    return DatasetReport(
        dataset,
        tuple(seen),
        tuple(problems),
        dict(sorted(counts.items())),
        steps_per_epoch(counts.values(), batch_size, gradient_accumulation_steps),
        {
            **{name.removesuffix("_wh"): value for name, value in asdict(buckets).items()},
            "train_batch_size": batch_size,
            "gradient_accumulation_steps": gradient_accumulation_steps,
            "max_token_length": max_token_length,
        },
    )


def _caption(item: Item) -> list[tuple[str, str]]:
    if item.is_unread:
        return []  # a problem of its file
    if item.is_uncaptioned and item.class_prompt:
        return [("class_prompt", f"no caption; that of the folder is used: {item.class_prompt!r}")]
    if item.is_uncaptioned:
        return [("no_caption", "no caption; write one: visuals dataset caption")]
    if item.caption == "":
        return [("empty_caption", "its caption is empty; write one: visuals dataset caption")]
    return []


def _size(item: Item, size_wh: Size, fit: Fit) -> list[tuple[str, str]]:
    found = []
    grown = fit.resized_wh[0] / size_wh[0]
    if grown > 1.01:
        what = f"{size_wh[0]} × {size_wh[1]} pixels, enlarged {grown:.1f} times; find a larger one"
        found.append(("small", what))
    if fit.cropped > 0.2:
        found.append(("cropped", f"{fit.cropped:.0%} of it is cut off; crop it to a usual aspect"))
    if item.mask is not None:
        try:
            if not read_mask(item.mask, size_wh).any():
                found.append(("empty_mask", "its mask is black; paint white what is to be learned"))
        except MaskError as error:
            found.append(("mask_size", str(error)))
        except PictureError as error:
            found.append(("no_mask", f"its mask cannot be read ({error}); make it again"))
    return found
