"""Loss curve of a training as SVG, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, LOW = 640, 260, 58, 12, 12, 34
MOST = 600
"""Points of a line; more are thinned out."""


def svg(loss: Sequence[Point], held_out: Sequence[Point], steps: int | None = None) -> str:
    """Return loss a step, its mean and the loss on held-out pictures over `steps` steps, as HTML.

    Values that are not finite are left out. "" where there is nothing to draw yet.
    """
    loss = [p for p in loss if math.isfinite(p[1])]
    held_out = [p for p in held_out if math.isfinite(p[1])]
    if not loss and not held_out:
        return ""
    last = max([x for x, _ in (*loss, *held_out)] + [steps or 1, 1])
    smooth = mean(loss)
    # A single spike would flatten all the rest.
    ordered = sorted(y for _, y in loss)
    usual = ordered[int(0.98 * (len(ordered) - 1))] if ordered else 0.0
    most = _round_up(max([usual, *(y for _, y in smooth), *(y for _, y in held_out), 1e-9]))

    def at(point: Point) -> str:
        x = LEFT + point[0] / last * (WIDTH - LEFT - RIGHT)
        y = TOP + (1 - min(point[1] / most, 1)) * (HEIGHT - TOP - LOW)
        return f"{x:.1f},{y:.1f}"

    def line(points: Sequence[Point], kind: str) -> str:
        if not points:
            return ""
        return f'<polyline class="{kind}" points="{" ".join(map(at, thinned(points)))}"/>'

    grid = ""
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = at((last * share, most * share)).split(",")
        grid += f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        grid += f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" class="y">{most * share:.3g}</text>'
        grid += f'<text x="{x}" y="{HEIGHT - 12}" class="x">{last * share:.0f}</text>'
    dots = "".join(
        '<circle cx="{}" cy="{}" r="3.5"/>'.format(*at(p).split(",")) for p in thinned(held_out)
    )
    summary = f"loss {smooth[-1][1]:.4f} at step {smooth[-1][0]:.0f}" if smooth else ""
    if held_out:
        shown = f"{held_out[0][1]:.4f} → {held_out[-1][1]:.4f}"
        summary += f"{', ' if summary else ''}held-out pictures {shown}"
    keys = '<span class="key loss">loss, mean</span>' if smooth else ""
    keys += '<span class="key held">held-out pictures</span>' if held_out else ""
    return (
        f'<figure class="curve"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Loss over steps: {summary}"><g class="grid">{grid}</g>{line(loss, "raw")}'
        f'{line(smooth, "loss")}{line(held_out, "held")}<g class="held">{dots}</g></svg>'
        f"<figcaption>{keys}<span>{summary}</span></figcaption></figure>"
    )


def mean(points: Sequence[Point], keep: float = 0.9) -> list[Point]:
    """Return the exponential moving average, as TensorBoard smooths.

    >>> mean([(1, 1.0), (2, 0.0)], keep=0.5)
    [(1, 1.0), (2, 0.5)]
    """
    out: list[Point] = []
    for x, y in points:
        out.append((x, y if not out else keep * out[-1][1] + (1 - keep) * y))
    return out


def thinned(points: Sequence[Point], most: int = MOST) -> list[Point]:
    """Return at most `most` of the points, evenly, the last among them.

    >>> thinned([(1, 1), (2, 2), (3, 3), (4, 4)], 2)
    [(2, 2), (4, 4)]
    """
    every = max(1, math.ceil(len(points) / most))
    return list(points[::-1][::every][::-1])


def _round_up(value: float) -> float:
    """Return the next number of the kind 1, 2, 2.5, 4, 5, 8 × 10^n."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(k * unit for k in (1, 2, 2.5, 4, 5, 8, 10) if k * unit >= value)
