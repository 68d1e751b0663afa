"""What crops are made of: products and other things cut out of renders and clip art, and backs.

A cut-out is clip_art.SIDE pixels square, what it shows clip_art.FILL pixels long in its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from . import clip_art
from .augment import box_of
from .clip_art import FILL, SIDE
from .randomise import texture
from .rendered_pictures import Renders

Image = np.ndarray


@dataclass(frozen=True)
class Bank:
    """What crops are made of.

    Args:
        cuts: uint8 (N, SIDE, SIDE, 4), RGB and what of it is the thing.
        truth: int (N,), index of the class; that of "none" for other things.
        scenic: bool (N,), whether RGB shows the thing's own surroundings.
        backs: uint8 (M, SIDE, SIDE, 3), pictures of nothing.
        none: index of "none".
    """

    cuts: np.ndarray
    truth: np.ndarray
    scenic: np.ndarray
    backs: np.ndarray
    none: int

    @cached_property
    def drawn(self) -> list[np.ndarray]:
        """Numbers of the rendered cut-outs of each class."""
        return [np.flatnonzero((self.truth == k) & self.scenic) for k in range(self.none + 1)]

    @cached_property
    def art(self) -> list[np.ndarray]:
        """Numbers of the others of each class."""
        return [np.flatnonzero((self.truth == k) & ~self.scenic) for k in range(self.none + 1)]

    def any_of(self, label: int, rng: np.random.Generator) -> int:
        """Number of a cut-out of a class; of clip art where there is much of it."""
        there = len(self.art[label])
        share = 0.7 * (there > 0) if label == self.none else min(0.1, 0.01 * there)
        some = self.art if rng.random() < share else self.drawn
        return int(rng.choice(some[label]))


def fill(drawn: list[Renders], art: Path | None, labels: tuple[str, ...], count: int) -> Bank:
    """Return the bank of renders of single things, and of clip art in the folder `art`, if any.

    `labels` end with that of other things; `count`: backs.
    """
    none = len(labels) - 1
    parts = [cut_outs(renders, labels) for renders in drawn]
    cuts, truth = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    scenic = np.ones(len(cuts), bool)
    other, photos = cuts[truth == none], []
    if art is not None:
        read = [(clip_art.cut_out(path), name) for path, name in clip_art.files(art)]
        clips = np.array([clip for clip, _ in read if clip is not None])
        named = np.array([labels.index(name) for clip, name in read if clip is not None])
        other, photos = clips[named == none], clip_art.panoramas(art)
        cuts, truth = np.concatenate([cuts, clips]), np.concatenate([truth, named])
        scenic = np.concatenate([scenic, np.zeros(len(clips), bool)])
    rng = np.random.default_rng(3)
    return Bank(cuts, truth, scenic, backs(drawn[0], other, photos, count, rng), none)


def cut_outs(renders: Renders, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the cuts of products and other things in renders, with their surroundings, and their
    classes."""
    cuts, truth = [], []
    for i, meta in enumerate(renders.meta):
        image = np.array(renders.images[i])
        for row in (*meta["products"], *meta.get("bodies", ())):
            mask = np.array(renders.instances[i] == row["instance"])
            box = box_of(mask)
            if box is None or mask.sum() < 0.006 * mask.size:
                continue
            k = FILL / max(box[2] - box[0], box[3] - box[1])
            cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            m = np.array([[k, 0, SIDE / 2 - k * cx], [0, k, SIDE / 2 - k * cy]])
            way = cv2.INTER_AREA if k < 1 else cv2.INTER_LINEAR
            rgba = np.dstack([image, mask.astype(np.uint8) * 255])
            cuts.append(
                cv2.warpAffine(rgba, m, (SIDE, SIDE), flags=way, borderMode=cv2.BORDER_REFLECT)
            )
            edge = cv2.warpAffine(rgba[..., 3], m, (SIDE, SIDE), flags=way)
            cuts[-1][..., 3] = edge
            truth.append(labels.index(row["label"]) if "label" in row else len(labels) - 1)
    return np.array(cuts), np.array(truth)


def backs(
    renders: Renders, art: np.ndarray, photos: list[Image], count: int, rng: np.random.Generator
) -> np.ndarray:
    """Return pictures of nothing, uint8 (count, SIDE, SIDE, 3): textures, places of `renders`
    without products, clip art strewn about, parts of `photos`."""
    empty = [i for i, m in enumerate(renders.meta) if not m["products"]]
    out = []
    for k in range(count):
        kind = k % 10
        if kind < 4:
            back = texture(SIDE, rng)
        elif kind < 6 and empty:
            back = part_of(np.array(renders.images[int(rng.choice(empty))]), rng)
        elif kind < 8 and photos:
            back = part_of(photos[int(rng.integers(len(photos)))], rng)
        else:
            back = texture(SIDE, rng) if rng.random() < 0.5 else plain(rng)
            for _ in range(int(rng.integers(2, 7))):
                m = affine(rng.uniform(0.3, 1.3), rng.uniform(-50, 50, 2), rng, SIDE, turn=3.1)
                over = cv2.warpAffine(art[int(rng.integers(len(art)))], m, (SIDE, SIDE))
                back = laid_over(back, over)
        out.append(back)
    return np.array(out)


def plain(rng: np.random.Generator) -> Image:
    a, b = rng.uniform(0, 255, (2, 3 if rng.random() < 0.6 else 1))
    along = np.linspace(0, rng.uniform(0, 1), SIDE)[:, None, None]
    return np.broadcast_to(a + (b - a) * along, (SIDE, SIDE, 3)).astype(np.uint8)


def part_of(image: Image, rng: np.random.Generator) -> Image:
    side = int(min(image.shape[:2]) * rng.uniform(0.25, 0.9))
    y, x = (int(rng.integers(0, n - side + 1)) for n in image.shape[:2])
    return cv2.resize(image[y : y + side, x : x + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def laid_over(under: Image, over: Image) -> Image:
    weight = over[..., 3:].astype(np.float32) / 255
    return (under + (over[..., :3].astype(np.float32) - under) * weight).astype(np.uint8)


def affine(
    grow: float, move: Any, rng: np.random.Generator, size: int, turn: float = 0.0
) -> np.ndarray:
    """Return the affine map, float (2, 3), from a cut-out's pixels to a crop's: grown, moved,
    mirrored by chance, turned, stretched."""
    a = rng.uniform(-turn, turn)
    wide = np.exp(rng.normal(0, 0.10))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    shear = rng.normal(0, 0.08)
    m = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    m = m @ np.array([[flip * wide, shear], [0, 1 / wide]]) * grow
    shift = size / 2 + np.asarray(move) - m @ (SIDE / 2, SIDE / 2)
    return np.column_stack([m, shift])
