"""The renders that the embedded models learn from: drawn once, kept as memory-mapped arrays.

Knows the studio; knows no models. Splits differ in their seeds, so no training picture is ever
in a held-out set.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...user_dirs import cache_folder

SEEDS = {
    "train": 1_000_000,
    "val": 2_000_000,
    "crowd": 4_000_001,
    "recoloured": 1_000_000,
    "singles": 50_000_000,
    "plain": 60_000_000,
}
"""First seed of each split; `recoloured` are pictures of `train`, the first product in another
colour; `singles` and `plain` show one thing, by either renderer, for the classifier;
`visuals bench quality` draws from 3,000,000 on, of 4,000,000 to
4,100,000 the first alone."""
CROWD = (0.12, 0.18, 0.20, 0.25, 0.25)
"""Shares of pictures with 0 to 4 products in the split `crowd`; also up to two things that are no
products, from anywhere, in places that are none."""
SINGLES = np.array([17, 17, 17, 7, 7, 17, 7, 7, 4]) / 100
"""Shares of the classes in the split `singles`, then of pictures of one to three other things."""
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


def _shot(split: str, seed: int, size: int) -> Any:
    from ....samples import studio, varied, vocabulary

    if split == "plain":
        return studio.render(seed, size, products=0 if seed % 12 == 0 else 1)
    if split == "singles":
        return _single(seed, size)
    rng = np.random.default_rng(seed)
    count = int(rng.choice(len(CROWD), p=CROWD)) if split == "crowd" else None
    if split == "recoloured":
        return varied.render(seed, size, colour=str(rng.choice(vocabulary.COLOURS)))
    if split != "crowd":
        return varied.render(seed, size)
    return varied.render(
        seed,
        size,
        products=count,
        others=int(rng.integers(0, 3)),
        scene="random" if rng.random() < 0.3 else None,
        wide=True,
        strange=True,
    )


def _single(seed: int, size: int) -> Any:
    from ....samples import varied, vocabulary

    rng = np.random.default_rng([seed, 5])
    label = int(rng.choice(len(SINGLES), p=SINGLES))
    wide = bool(rng.random() < 0.5)
    if label < len(vocabulary.CLASSES):
        name = vocabulary.CLASSES[label]
        return varied.render(seed, size, products=1, others=0, label=name, wide=wide)
    others = int(rng.integers(1, 4))
    scene = "random" if rng.random() < 0.3 else None
    return varied.render(
        seed, size, products=0, others=others, wide=wide, strange=True, scene=scene
    )


def _draw(
    seeds: range, size: int, split: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    shots = [_shot(split, seed, size) for seed in seeds]
    return (
        np.stack([s.image for s in shots]),
        np.stack([s.instances for s in shots]),
        np.stack([s.depth for s in shots]).astype(np.float16),
        [json.dumps(s.meta) for s in shots],
    )


def render_split(folder: Path, split: str, count: int, size: int, *, workers: int = 1) -> None:
    """Draw a split into folder/split until it holds `count` pictures.

    Args:
        folder: Where the splits lie.
        split: One of `SEEDS`.
        count: Pictures.
        size: Their side in pixels.
        workers: Processes.

    Chunks are appended, so a stopped drawing goes on, and a larger `count` adds pictures. The
    arrays are raw files: their length follows from the lines of meta.jsonl, written last.
    """
    target = folder / split
    target.mkdir(parents=True, exist_ok=True)
    lines = target / "meta.jsonl"
    done = lines.read_text().count("\n") if lines.exists() else 0
    if done >= count:
        return
    (target / "size").write_text(str(size))
    starts = range(done, count, CHUNK)
    seeds = [range(SEEDS[split] + a, SEEDS[split] + min(a + CHUNK, count)) for a in starts]
    with ProcessPoolExecutor(workers) as pool:
        drawn = pool.map(partial(_draw, size=size, split=split), seeds)
        chunk: Any
        for chunk in drawn:
            for name, part in zip(_ARRAYS, chunk, strict=False):
                row = part[0].nbytes
                with open(target / name, "ab") as file:
                    file.truncate(done * row)  # what a stopped drawing left over
                    file.write(part.tobytes())
            with open(lines, "a") as file:
                file.write("".join(line + "\n" for line in chunk[3]))
            done += len(chunk[3])
            print(f"renders {split}: {done}/{count}", flush=True)


_ARRAYS = {"images": (3, np.uint8), "instances": (1, np.uint8), "depth": (1, np.float16)}


def open_renders(folder: Path, split: str) -> Renders:
    """Open what is drawn of a split, memory-mapped."""
    target = folder / split
    with open(target / "meta.jsonl") as lines:
        meta = [json.loads(line) for line in lines]
    n, size = len(meta), int((target / "size").read_text())
    arrays: Any = [
        np.memmap(target / name, dtype, "r", shape=(n, size, size, 3)[: 3 + (channels == 3)])
        for name, (channels, dtype) in _ARRAYS.items()
    ]
    images, instances, depth = arrays
    return Renders(images, instances, depth, meta)
