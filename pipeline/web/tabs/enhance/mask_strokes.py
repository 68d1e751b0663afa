"""Brush strokes that the browser sends, drawn on a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

MOST_STROKES = 2000
MOST_POINTS = 5000
"""Points of one stroke; more are left out."""

Share = Annotated[float, Field(ge=-2, le=3, allow_inf_nan=False)]


@dataclass(frozen=True)
class Stroke:
    """A stroke of a round brush, which adds to the mask (`paint`) or erases it.

    `radius` is a share of the picture's longer side, `points` of width and height, 0..1.
    """

    paint: bool
    radius: Annotated[float, Field(gt=0, le=3, allow_inf_nan=False)]
    points: Annotated[tuple[tuple[Share, Share], ...], Field(min_length=1)]

    def plain(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def read(values: Any) -> tuple[Stroke, ...]:
    """Return the strokes that a browser sent; what is no stroke is left out.

    >>> read([{"paint": True, "radius": 0.1, "points": [[0.5, 0.5]]}, {"radius": "x"}, 3])
    (Stroke(paint=True, radius=0.1, points=((0.5, 0.5),)),)
    """
    strokes = []
    for value in values[:MOST_STROKES] if isinstance(values, list) else ():
        try:
            points = value["points"][:MOST_POINTS]
            strokes.append(Stroke(bool(value.get("paint")), value["radius"], points))
        except (KeyError, TypeError, ValidationError):
            continue
    return tuple(strokes)


def draw(mask: np.ndarray, strokes: Sequence[Stroke]) -> np.ndarray:
    """Return `mask`, bool (H, W), with the strokes drawn on it."""
    import cv2

    height, width = mask.shape
    out = mask.astype(np.uint8)
    for stroke in strokes:
        radius = max(0.5, min(stroke.radius, 1) * max(width, height))
        points = np.rint(np.array(stroke.points) * (width, height) - 0.5).astype(np.int32)
        value = int(stroke.paint)
        cv2.polylines(out, [points], False, value, thickness=max(1, round(2 * radius)))
        for x, y in (points[0], points[-1]):
            cv2.circle(out, (int(x), int(y)), round(radius), value, -1)
    return out.astype(bool)
