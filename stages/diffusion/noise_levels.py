"""A1111's schedules: noise levels (sigmas) by number of steps.

Each takes a model's levels in training, rising, and returns float (steps,), falling, without the
final 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Schedule = Callable[[np.ndarray, int], np.ndarray]
_LAST = 0.029
"""The level before 0 in A1111's table of Align Your Steps; diffusers' has the 0 only."""


def _at(levels: np.ndarray, time_steps: np.ndarray) -> np.ndarray:
    """Levels of time steps, interpolated in their logarithm."""
    return np.exp(np.interp(time_steps, np.arange(len(levels)), np.log(levels)))


def normal(levels: np.ndarray, steps: int) -> np.ndarray:
    """Evenly spaced time steps, from the last to the first."""
    return _at(levels, np.linspace(len(levels) - 1, 0, steps))


def sgm_uniform(levels: np.ndarray, steps: int) -> np.ndarray:
    """Evenly spaced whole time steps that end one step above 0: diffusers' "trailing"."""
    return _at(levels, np.linspace(len(levels), 0, steps + 1)[:-1].round() - 1)


def karras(levels: np.ndarray, steps: int, rho: float = 7) -> np.ndarray:
    """Evenly spaced roots of levels (Karras et al. 2022, arXiv:2206.00364)."""
    return np.linspace(levels[-1] ** (1 / rho), levels[0] ** (1 / rho), steps) ** rho


def exponential(levels: np.ndarray, steps: int) -> np.ndarray:
    """Evenly spaced logarithms of levels."""
    return np.geomspace(levels[-1], levels[0], steps)


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


def align_your_steps(
    levels: np.ndarray, steps: int, table: str = "StableDiffusionSigmas"
) -> np.ndarray:
    """A table of levels (Sabour et al. 2024, arXiv:2404.14507), interpolated in their logarithm;
    `table`: its name in diffusers."""
    from diffusers.schedulers import AysSchedules

    known = AysSchedules[table]
    return _at(np.array([*known[:-1], _LAST]), np.linspace(0, len(known) - 1, steps))


SCHEDULES: dict[str, Schedule] = {
    "": normal,
    "Karras": karras,
    "Exponential": exponential,
    "SGM Uniform": sgm_uniform,
    "Simple": simple,
    "Beta": beta,
    "Align Your Steps": align_your_steps,
}
