"""Sneakers of several shapes, as signed distances with painted parts; see `variants`."""

from __future__ import annotations

import math

from .kinds import HIGH_TOP, RUNNER
from .primitives import box, cylinder, jit, smax, smin, step, uneven2


@jit
def _outline(x, z):
    a = uneven2(x + 0.365, z, 0.62, 0.125, 0.160)
    b = uneven2(x - 0.22, z + 0.012, 0.18, 0.160, 0.098)
    return smin(a, b, 0.06)


@jit
def _sole_height(kind, p, x):
    if kind == HIGH_TOP:
        return 0.095
    return 0.10 + (0.05 + 0.05 * p[0]) * step(0.30, -0.45, x) + 0.02 * p[1]


@jit
def _collar(kind, p, x):
    """Height of the opening's edge at x."""
    if kind == HIGH_TOP:
        return 0.64 + 0.10 * p[2] + 0.06 * step(-0.22, -0.06, x)
    return 0.37 + 0.05 * p[2] + 0.055 * step(-0.30, -0.44, x) + 0.09 * step(-0.26, -0.04, x)


@jit
def _instep(kind, p, x):
    """Height of the upper along the foot."""
    toe = 0.215 + 0.03 * p[3]
    up = (0.20 if kind == RUNNER else 0.24) * step(0.36, -0.14, x)
    return toe + up - 0.07 * step(0.34, 0.52, x)


@jit
def _laces(x, y, z):
    """0..1 on the laces."""
    t = (x - 0.02) * 14.0
    near = step(0.085, 0.065, abs(z)) * step(0.285, 0.25, x) * step(-0.13, -0.10, x)
    cross = math.sin(6.2832 * (t * 0.5 + 2.2 * abs(z)))
    foot = near * step(0.35, 0.7, cross)
    if y < 0.40:
        return foot
    front = step(0.070, 0.055, abs(z)) * step(-0.19, -0.16, x) * step(0.62, 0.58, y)
    return max(foot, front * step(0.35, 0.7, math.sin(6.2832 * (13.0 * y - 2.2 * abs(z)))))


@jit
def _shaft(kind, lean, y, z):
    """2-D distance to the part round the ankle, at a height."""
    slim = 0.05 * step(0.1, 0.5, y) if kind == RUNNER else 0.035 * step(0.1, 0.45, y)
    return math.sqrt((lean / 1.32) ** 2 + z * z) - 0.130 + slim


@jit
def sneaker(kind, p, x, y, z):
    spring = 0.055 * step(0.22, 0.58, x) ** 2
    y = y - spring
    flat = _outline(x, z)
    hs = _sole_height(kind, p, x)
    flare = 0.014 * step(0.10, 0.0, y) if kind == RUNNER else 0.0
    sole = cylinder(flat - 0.008 - flare, abs(y - 0.5 * hs) - 0.5 * hs, 0.022)
    rise = max(0.0, y - 0.12)
    foot = smax(flat + 0.012 + 0.28 * rise, y - _instep(kind, p, x), 0.11)
    lean = x + 0.245 - 0.06 * (y - 0.3)
    shaft2 = _shaft(kind, lean, y, z)
    top = y - _collar(kind, p, x)
    shaft = smax(shaft2, top, 0.03)
    upper = smin(foot, shaft, 0.14)
    hole = max(shaft2 + 0.030, 0.22 - y)
    upper = smax(upper, -hole, 0.02)
    upper = max(upper, 0.02 - y)
    # the tongue leans out of the front of the opening
    tx, ty = x + (0.125 if kind == RUNNER else 0.145), y - _collar(kind, p, -0.10) + 0.06
    cx, cy = 0.92 * tx + 0.38 * ty, -0.38 * tx + 0.92 * ty
    tongue = box(cx, cy, z, 0.022, 0.10, 0.075, 0.020)
    best = min(upper, tongue)
    if y > 0.2:
        best -= 0.010 * _laces(x, y, z)
    return 0.62 * min(best, sole)


@jit
def sneaker_part(kind, p, x, y, z):
    y = y - 0.055 * step(0.22, 0.58, x) ** 2
    hs = _sole_height(kind, p, x)
    if y < hs - 0.004:
        if p[4] > 0.45 and abs(y - 0.45 * hs) < 0.012:
            return 3  # a line round the sole
        return 6 if y < 0.022 else 1
    lean = x + 0.245 - 0.06 * (y - 0.3)
    shaft2 = _shaft(kind, lean, y, z)
    if shaft2 < -0.022 and y > 0.24:
        return 4
    if y > 0.2 and _laces(x, y, z) > 0.3:
        return 2
    if abs(z) < 0.075 and x > -0.14 and x < 0.27 and y > _instep(kind, p, x) - 0.09:
        return 5  # tongue
    if kind == HIGH_TOP and y > 0.4 and x > -0.19 and abs(z) < 0.06:
        return 5
    if kind == HIGH_TOP:
        if x > 0.335 and y < 0.24:
            return 1  # rubber toe cap
        if p[5] > 0.4 and (x + 0.22) ** 2 + (y - 0.50) ** 2 < 0.0052:
            return 3 if (x + 0.22) ** 2 + (y - 0.50) ** 2 < 0.0032 else 1
        if p[6] > 0.6 and abs(x + 0.40) < 0.022:
            return 3
        return 0
    if p[5] < 0.35:  # three slanted stripes
        s = x - 0.75 * (y - 0.13)
        for k in range(3):
            if abs(s + 0.03 - 0.095 * k) < 0.021 and y < 0.32 and abs(z) > 0.07:
                return 3
    elif p[5] < 0.7:  # a swung band
        mid = 0.17 + 0.42 * (x + 0.10) ** 2 + 0.10 * step(0.05, -0.35, x)
        wide = 0.034 * step(0.36, 0.05, x) + 0.006
        if abs(y - mid - 0.02) < wide and x < 0.30 and x > -0.36 and abs(z) > 0.05:
            return 3
    if p[6] > 0.5 and x < -0.40 and y > 0.24:
        return 3
    if p[7] > 0.5 and x > 0.35 and y < 0.27:
        return 7
    return 0
