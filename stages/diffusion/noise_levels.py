"""A1111's schedules Simple, Beta and Align Your Steps: noise levels (sigmas) by number of steps.

Each takes a model's levels in training, rising, and returns float (steps,), falling, without the
final 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_LAST = 0.029
"""The level before 0 in A1111's table of Align Your Steps; diffusers' has the 0 only."""


def simple(levels: np.ndarray, steps: int) -> np.ndarray:
    """Every so many of the training's levels, from the highest."""
    return levels[-1 - (np.arange(steps) * len(levels) / steps).astype(int)]


def beta(levels: np.ndarray, steps: int, shape: float = 0.6) -> np.ndarray:
    """Quantiles of a symmetric beta distribution (Lee et al. 2024, arXiv:2407.12173).

    With x = sin²θ its density is (sin θ cos θ)^(2 shape - 1) dθ, which has no poles.
    """
    edges = np.linspace(0, np.pi / 2, 100_001)
    middles = (edges[1:] + edges[:-1]) / 2
    mass = np.cumsum((np.sin(middles) * np.cos(middles)) ** (2 * shape - 1))
    found = np.interp(np.linspace(1, 0, steps), np.append(0, mass) / mass[-1], np.sin(edges) ** 2)
    return levels[0] + found * (levels[-1] - levels[0])


def align_your_steps(table: list[float], steps: int) -> np.ndarray:
    """A table of levels (Sabour et al. 2024, arXiv:2404.14507), interpolated in their logarithm."""
    logs = np.log([*table[:-1], _LAST])
    return np.exp(np.interp(np.linspace(0, 1, steps), np.linspace(0, 1, len(logs)), logs))


def with_levels(kind: type, schedule: str, *, is_xl: bool) -> type:
    """Return a class of diffusers' schedulers with one of these in place of Karras' schedule."""
    from diffusers.schedulers import AysSchedules

    table = AysSchedules[f"StableDiffusion{'XL' if is_xl else ''}Sigmas"]

    def convert(self: Any, in_sigmas: Any, num_inference_steps: int | None = None) -> np.ndarray:
        steps = num_inference_steps or self.num_inference_steps
        if schedule == "Align Your Steps":
            return align_your_steps(table, steps)
        kept = self.alphas_cumprod.double().numpy()
        curve: Callable[[np.ndarray, int], np.ndarray] = simple if schedule == "Simple" else beta
        return curve(((1 - kept) / kept) ** 0.5, steps)

    return type(kind.__name__, (kind,), {"_convert_to_karras": convert})
