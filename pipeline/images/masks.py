"""Masks of photos: one way to read them, one rule to find the mask of a photo by its name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...stages.shot import opacity
from .read import PictureError, printable, read_image

K = TypeVar("K", bound=Hashable)


class MaskError(PictureError):
    """A mask is missing or does not fit its photo."""


def read_mask(path: Path, size_wh: Sequence[int] | None = None) -> np.ndarray:
    """Read a mask file as uint8 (H, W): 255 where it is white and opaque, 0 where it is black or
    transparent.

    `size_wh`: of the photo; raises MaskError for a mask of another size, PictureError for a file
    that cannot be read.
    """
    from PIL import Image

    picture = read_image(path)
    mask = np.asarray(Image.fromarray(picture.rgb).convert("L"))
    if picture.alpha is not None:
        mask = np.rint(mask * opacity(picture.alpha)).astype(np.uint8)
    check_size(path, mask.shape[1::-1], size_wh or mask.shape[1::-1])
    return mask


def check_size(path: Path, got: Sequence[int], expected: Sequence[int]) -> None:
    """Raise MaskError if the size of a mask, (width, height), is not that of its photo."""
    if tuple(got) != tuple(expected):
        raise MaskError(
            f"mask {printable(path)} is {got[0]} × {got[1]}; expected the photo's "
            f"{expected[0]} × {expected[1]}; scale it"
        )


def match_masks(photos: Mapping[K, Sequence[Path]], masks: Iterable[Path]) -> dict[K, Path]:
    """Return the mask of each photo that has one: at the first of its places where exactly one
    mask is that no other photo claims.

    Args:
        photos: The places of each photo's mask, in order: paths without ending, last its stem
            alone, for a mask in any folder.
        masks: Mask files.

    >>> masks = [Path("masks/x.png"), Path("masks/shop/y.png")]
    >>> photos = {"x.jpg": [Path("masks/x"), Path("x")], "a/y.jpg": [Path("masks/a/y"), Path("y")]}
    >>> {photo: str(mask) for photo, mask in match_masks(photos, masks).items()}
    {'x.jpg': 'masks/x.png', 'a/y.jpg': 'masks/shop/y.png'}
    """
    there: dict[Path, set[Path]] = defaultdict(set)
    for mask in masks:
        there[mask.with_suffix("")].add(mask)
        there[Path(mask.stem)].add(mask)
    claims = Counter(place for places in photos.values() for place in set(places))
    matched = {}
    for photo, places in photos.items():
        for place in places:
            if claims[place] == 1 and len(there.get(place, ())) == 1:
                (matched[photo],) = there[place]
                break
    return matched
