"""A mask painted over by hand: strokes as the browser draws them, laid on a mask. Arrays only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

MOST_STROKES = 2000
MOST_POINTS = 5000
"""Of one stroke; more are left out."""


@dataclass(frozen=True)
class Stroke:
    """A line of a round brush. `paint`: adds to the mask, else takes away; `radius`: a share of
    the picture's longer side; `points`: (x, y) as shares of width and height, 0..1."""

    paint: bool
    radius: float
    points: tuple[tuple[float, float], ...]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def read(values: Any) -> tuple[Stroke, ...]:
    """Strokes as a browser sent them; what is none is left out.

    >>> read([{"paint": True, "radius": 0.1, "points": [[0.5, 0.5]]}, {"radius": "x"}, 3])
    (Stroke(paint=True, radius=0.1, points=((0.5, 0.5),)),)
    """
    found = [_stroke(v) for v in values[:MOST_STROKES]] if isinstance(values, Sequence) else []
    return tuple(s for s in found if s is not None)


def _stroke(value: Any) -> Stroke | None:
    if not isinstance(value, Mapping):
        return None
    try:
        radius = float(value["radius"])
        points = tuple((float(x), float(y)) for x, y in value["points"][:MOST_POINTS])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    numbers = [radius, *(n for point in points for n in point)]
    if not points or not all(math.isfinite(n) and -2 <= n <= 3 for n in numbers) or radius <= 0:
        return None
    return Stroke(bool(value.get("paint")), min(radius, 1.0), points)


def drawn(mask: np.ndarray, strokes: Sequence[Stroke]) -> np.ndarray:
    """`mask`, bool (H, W), after the strokes; where none went it stays as it was."""
    import cv2

    height, width = mask.shape
    out = mask.astype(np.uint8)
    for stroke in strokes:
        radius = max(0.5, stroke.radius * max(width, height))
        points = np.rint(np.array(stroke.points) * (width, height) - 0.5).astype(np.int32)
        value = int(stroke.paint)
        cv2.polylines(out, [points], False, value, thickness=max(1, round(2 * radius)))
        for x, y in (points[0], points[-1]):
            cv2.circle(out, (int(x), int(y)), round(radius), value, -1)
    return out.astype(bool)
