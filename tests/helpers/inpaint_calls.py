"""Arguments of an inpainting call, and counters of what is called in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image


def noise(seed: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


@contextmanager
def calls(module: Any) -> Iterator[list[tuple[int, ...]]]:
    """The shapes that a module is called with, while it lasts."""
    seen: list[tuple[int, ...]] = []
    handle = module.register_forward_pre_hook(lambda m, args: seen.append(tuple(args[0].shape)))
    yield seen
    handle.remove()


@contextmanager
def call_sizes(pipe: Any) -> Iterator[list[int]]:
    """How many pictures each call of an inpainting pipeline gets, while it lasts."""
    sizes: list[int] = []
    kind: Any = type(pipe)

    class Counted(kind):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            sizes.append(len(kwargs["image"]))
            return kind.__call__(self, *args, **kwargs)

    pipe.__class__ = Counted
    try:
        yield sizes
    finally:
        pipe.__class__ = kind


@contextmanager
def cores(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def asked(generator_seed: int, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "prompt": ["a mug"] * 2,
        "negative_prompt": [""] * 2,
        "image": [Image.fromarray(noise(1)), Image.fromarray(noise(2))],
        "mask_image": [Image.fromarray(np.tri(64, dtype=np.uint8) * 255)] * 2,
        "control_image": torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)),
        "generator": [torch.Generator().manual_seed(generator_seed + k) for k in range(2)],
        "width": 64,
        "height": 64,
        "strength": 0.8,
        "num_inference_steps": 5,
        "guidance_scale": 3.0,
        "output_type": "latent",
    }
    return {**values, **changes}
