"""How unlike two sets of pictures are in light, colour and texture, whatever they show.

A look need not have one backdrop, so it is a distribution: each picture is a row of numbers, all
of them CIELAB units, and two sets are as far apart as the energy distance of their rows.
Pure arithmetic on arrays.
"""

from __future__ import annotations

import numpy as np

from . import color_metrics

RINGS, OCTAVES = 4, 3


def statistics(rgb: np.ndarray) -> np.ndarray:
    """Light, colour and texture of a picture, float64 (18,), in CIELAB units.

    Mean L*, a*, b* of each of 4 rings round the middle, halved, so that the four weigh as one
    colour; the standard deviations of L*, a*, b*; the contrast of L* in 3 octaves of detail.
    `rgb`: uint8 (H, W, 3), H and W multiples of 8.
    """
    values = color_metrics.lab(rgb)
    rings = color_metrics.rings(rgb, np.zeros(values.shape[:2], bool), RINGS)
    light, contrasts = values[..., 0], []
    for _ in range(OCTAVES):
        h, w = light.shape
        half = light.reshape(h // 2, 2, w // 2, 2).mean((1, 3))
        contrasts.append(np.sqrt(np.square(light - half.repeat(2, 0).repeat(2, 1)).mean()))
        light = half
    parts = (rings.ravel() / np.sqrt(RINGS), values.reshape(-1, 3).std(0), contrasts)
    return np.concatenate(parts)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The energy distance of two sets of rows (N, D), (M, D), both of at least two; 0 is alike.

    √(2 E|A-B| - E|A-A'| - E|B-B'|) (Székely and Rizzo 2013), each mean over different rows, so
    that small sets are not farther apart than large ones; 0 where chance makes it negative.
    """

    def between(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        lengths: np.ndarray = np.linalg.norm(x[:, None] - y[None], axis=2)
        return lengths

    def within(x: np.ndarray) -> float:
        return float(between(x, x).sum() / (len(x) * (len(x) - 1)))

    squared = 2 * between(a, b).mean() - within(a) - within(b)
    return float(np.sqrt(max(squared, 0.0)))


def gain(before: np.ndarray, after: np.ndarray, look: np.ndarray) -> float:
    """Share of the way from `before` to the look that `after` has gone: 1 - after / before."""
    return 1 - distance(after, look) / distance(before, look)


def interval(
    before: np.ndarray, after: np.ndarray, look: np.ndarray, *, times: int = 400, seed: int = 0
) -> tuple[float, float]:
    """The middle 95 % of the gain, were other pictures drawn and other photos taken (bootstrap).

    `before`, `after`: rows of the same seeds, which stay together.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(times):
        # half of each set, none twice: a row that is drawn twice is at no distance from itself
        some = rng.permutation(len(before))[: max(2, len(before) // 2)]
        photos = rng.permutation(len(look))[: max(2, len(look) // 2)]
        found.append(gain(before[some], after[some], look[photos]))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
