"""The painted parts of `bodies`."""

from __future__ import annotations

import math

from .bodies import (
    ANIMAL,
    APPLE,
    BANANA,
    BICYCLE,
    CAKE,
    CANDLE,
    CARTON,
    CLOCK,
    CONE,
    DRAWERS,
    DUCK,
    HAT,
    HEAP,
    HOUSE,
    PEAR,
    SLAB,
    TABLE,
    TOOL,
    TOWER,
    TREE,
)
from .primitives import jit


@jit
def part(kind, p, x, y, z):
    """Index of the painted part at a surface point."""
    rho = math.sqrt(x * x + z * z)
    if kind == HEAP:
        return (
            int(8.0 * (0.5 + 0.5 * math.sin(9.0 * math.floor(6.0 * x) + 5.0 * math.floor(5.0 * z))))
            % 4
        )
    if kind in (APPLE, PEAR):
        return 1 if y > 0.6 and rho < 0.07 else 0
    if kind == BANANA:
        return 1 if abs(math.atan2(x, 0.8 - y)) > 0.62 else 0
    if kind == CARTON:
        if p[4] > 0.4 and abs(x) < 0.05:
            return 1
        if p[5] > 0.5 and z > 0.15 and x > 0.05 and y < 0.3 and y > 0.12:
            return 2
        return 0
    if kind == TREE:
        return 1 if y < 0.42 and rho < 0.09 else 0
    if kind == ANIMAL:
        leg, long, fat = 0.22 + 0.16 * p[0], 0.24 + 0.10 * p[1], 0.10 + 0.08 * p[2]
        hx, hy = long + 0.12, leg + 2.0 * fat + 0.06 + 0.16 * p[3]
        if (x - hx - 0.06) ** 2 + (y - hy - 0.04) ** 2 < 0.0006 or x > hx + 0.155:
            return 2
        if p[7] > 0.5 and math.sin(14.0 * x + 6.0 * p[8]) * math.sin(17.0 * y) > 0.25:
            return 1
        return 0
    if kind == DUCK:
        if x > 0.34 and y > 0.46 and y < 0.58:
            return 1
        return 2 if (x - 0.28) ** 2 + (y - 0.58) ** 2 < 0.0009 else 0
    if kind == HOUSE:
        h = 0.30 + 0.14 * p[0]
        if y > h - 0.018:
            return 1
        if abs(x) < 0.055 and y < 0.20 and z > 0:
            return 2
        u, v = x / 0.2, (y - 0.19) / 0.16
        if abs(abs(x) - 0.19) < 0.05 and abs(y - 0.20) < 0.05 and abs(v) < 2 and abs(u) < 4:
            return 3
        return 0
    if kind in (TOWER, DRAWERS):
        if kind == DRAWERS:
            h = 0.5 + 0.45 * p[0]
            n = 2 + int(3 * p[2])
            row = y / h * n
            mid = abs(row - math.floor(row) - 0.5)
            return 1 if mid < 0.10 and abs(x) < 0.04 and z > 0.2 else 0
        u, v = (x + z) / 0.09 + p[4], y / (0.08 + 0.05 * p[5])
        fu, fv = u - math.floor(u), v - math.floor(v)
        return 3 if fu > 0.25 and fu < 0.8 and fv > 0.3 and fv < 0.8 else 0
    if kind == SLAB:
        return 1 if z > -0.2 and abs(x) < 0.10 + 0.2 * p[2] and y > 0.06 and p[4] > 0.3 else 0
    if kind == TOOL:
        return 1 if y < 0.42 else 0
    if kind == CLOCK:
        q, r = x, y - 0.46
        d = math.sqrt(q * q + r * r)
        if z < 0.03 or d > 0.36:
            return 0
        turn = math.atan2(q, r) / 6.2832 * 12.0
        if d > 0.28 and d < 0.34 and abs(turn - math.floor(turn + 0.5)) < 0.09:
            return 2
        for k in range(2):
            a = 6.2832 * p[3 + k]
            along = q * math.sin(a) + r * math.cos(a)
            across = abs(q * math.cos(a) - r * math.sin(a))
            if along > -0.03 and along < 0.27 - 0.09 * k and across < 0.013:
                return 2
        return 1
    if kind == TABLE:
        return 1 if y < 0.51 else 0
    if kind == HAT:
        return 1 if y > 0.07 and y < 0.13 and p[3] > 0.4 else 0
    if kind == CONE:
        return 1 if (y > 0.30 and y < 0.45) or (y > 0.58 and y < 0.68) else 0
    if kind == BICYCLE:
        w = math.sqrt((abs(x) - 0.38) ** 2 + (y - 0.24) ** 2)
        return 2 if w > 0.19 or y > 0.57 else 0
    if kind == CANDLE:
        return 1 if y > 0.37 + 0.3 * p[0] else 0
    if kind == CAKE:
        return 1 if y < 0.30 else (2 if y > 0.62 else 0)
    return 0
