"""The renders that the embedded models learn from: drawn once, kept as memory-mapped arrays.

Knows the studio; knows no models. Splits differ in their seeds, so no training picture is ever
in a held-out set.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..user_dirs import cache_folder

SEEDS = {"train": 1_000_000, "val": 2_000_000, "crowd": 4_000_001}
"""First seed of each split; `visuals bench quality` draws from 3,000,000 on, of 4,000,000 to
4,100,000 the first alone."""
CROWD = (0.12, 0.18, 0.20, 0.25, 0.25)
"""Shares of pictures with 0 to 4 products in the split `crowd`."""
CHUNK = 250


def default_workdir() -> Path:
    """Where the recipe keeps pictures and training state between runs."""
    return cache_folder() / "recipe"


@dataclass(frozen=True)
class Renders:
    """images uint8 (N, H, W, 3) RGB; instances uint8 (N, H, W); depth float16 (N, H, W);
    meta: a dict a picture (see `visuals.samples.studio.Render`)."""

    images: np.ndarray
    instances: np.ndarray
    depth: np.ndarray
    meta: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.meta)


def _draw(
    seeds: range, size: int, crowded: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    from ...samples import studio

    def products(seed: int) -> int | None:
        return int(np.random.default_rng(seed).choice(len(CROWD), p=CROWD)) if crowded else None

    shots = [studio.render(seed, size, products=products(seed)) for seed in seeds]
    return (
        np.stack([s.image for s in shots]),
        np.stack([s.instances for s in shots]),
        np.stack([s.depth for s in shots]).astype(np.float16),
        [json.dumps(s.meta) for s in shots],
    )


def render_split(folder: Path, split: str, count: int, size: int, workers: int) -> None:
    """Draw `count` pictures of a split into folder/split; done pictures are not drawn again."""
    target = folder / split
    if (target / "meta.jsonl").exists() and len(open_renders(folder, split)) >= count:
        return
    target.mkdir(parents=True, exist_ok=True)
    shapes = {
        "images": ((count, size, size, 3), np.uint8),
        "instances": ((count, size, size), np.uint8),
        "depth": ((count, size, size), np.float16),
    }
    arrays = {
        name: np.lib.format.open_memmap(target / f"{name}.npy", "w+", dtype, shape)
        for name, (shape, dtype) in shapes.items()
    }
    starts = range(0, count, CHUNK)
    seeds = [range(SEEDS[split] + a, SEEDS[split] + min(a + CHUNK, count)) for a in starts]
    lines: list[str] = []
    crowded = split == "crowd"
    with ProcessPoolExecutor(workers) as pool:
        drawn = pool.map(_draw, seeds, [size] * len(seeds), [crowded] * len(seeds))
        for start, chunk in zip(starts, drawn, strict=True):
            stop = start + len(chunk[3])
            for name, part in zip(("images", "instances", "depth"), chunk, strict=False):
                arrays[name][start:stop] = part
            lines += chunk[3]
            print(f"renders {split}: {stop}/{count}", flush=True)
    beside = target / "meta.jsonl.part"
    beside.write_text("\n".join(lines) + "\n")
    os.replace(beside, target / "meta.jsonl")


def open_renders(folder: Path, split: str) -> Renders:
    """Open a drawn split, memory-mapped."""
    target = folder / split
    with open(target / "meta.jsonl") as lines:
        meta = [json.loads(line) for line in lines]
    images, instances, depth = (
        np.load(target / f"{name}.npy", mmap_mode="r") for name in ("images", "instances", "depth")
    )
    return Renders(images, instances, depth, meta)
