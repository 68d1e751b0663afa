"""Handbags of several shapes, as signed distances with painted parts; see `variants`."""

from __future__ import annotations

import math

from .kinds import FLAP, HOBO, TOTE
from .primitives import arch2, box, box2, ellipsoid, jit, smax, smin, step


@jit
def _flap_edge(p, x, half):
    """Height of the flap's lower edge, as a share of the bag's."""
    s = x / half
    if p[5] > 0.5:
        return 0.38 + 0.22 * s * s
    return 0.50 if p[5] > 0.25 else 0.34 + 0.40 * abs(s)


@jit
def handbag(kind, p, x, y, z):
    if kind == FLAP:
        tall = 0.23 + 0.06 * p[0]
        half = 0.38 + 0.07 * p[1]
        thick = 0.11 + 0.03 * p[2]
        body = box(x, y - tall, z, half, tall, thick, 0.05)
        edge = 2.0 * tall * _flap_edge(p, x, half)
        over = box(x, y - tall - 0.010, z - 0.016, half - 0.012, tall, thick, 0.05)
        over = max(over, (edge - y) * 0.7)
        clasp = box(x, y - edge - 0.03, z - thick - 0.02, 0.045, 0.035, 0.018, 0.012)
        best = min(min(body, over), clasp)
        if p[6] > 0.4:
            up = arch2(x, y - 2.0 * tall, 0.19, 0.04 + 0.08 * p[4], 0.0)
            handle = math.sqrt(max(up, 0.0) ** 2 + z * z) - 0.024
            best = min(best, max(handle, 2.0 * tall - 0.04 - y))
        else:
            up = arch2(x, y - 1.6 * tall, half - 0.01, 0.10, 0.0)
            strap = box2(up, z, 0.011, 0.028, 0.008)
            best = min(best, max(strap, 1.5 * tall - y))
        return 0.8 * best
    if kind == TOTE:
        tall = 0.30 + 0.05 * p[0]
        slope = 1.0 + 0.35 * p[1] * (y - tall)
        half = 0.34 + 0.05 * p[2]
        sag = 0.012 * math.sin(9.0 * x + 6.0 * p[3]) * step(0.1, 0.5, y)
        thick = 0.12 - 0.02 * y / tall
        body = box(x / slope, y - tall, z + sag, half, tall, thick, 0.03)
        inner = box(x / slope, y - tall - 0.05, z + sag, half - 0.02, tall, thick - 0.02, 0.02)
        body = max(body, -inner)
        high = 0.14 + 0.16 * p[4]
        up = arch2(x, y - 2.0 * tall + 0.10, 0.15, high, 0.0)
        gap = abs(z + sag) - 0.085
        handle = box2(up, gap, 0.022, 0.010, 0.008)
        handle = max(handle, 2.0 * tall - 0.12 - y)
        return 0.75 * min(body, handle)
    if kind == HOBO:
        w = 0.46
        body = ellipsoid(x, y - 0.35, z, w, 0.35, 0.15 + 0.04 * p[0])
        dip = ellipsoid(x, y - 0.80 - 0.06 * p[1], z, 0.40, 0.32, 0.6)
        body = smax(body, -dip, 0.04)
        ring = math.sqrt((x / 0.95) ** 2 + (y - 0.56) ** 2) - 0.40
        strap = box2(ring, z, 0.014, 0.036 - 0.012 * step(0.6, 0.95, y), 0.010)
        strap = max(strap, 0.50 - y)
        return 0.7 * smin(body, strap, 0.03)
    tall = 0.25 + 0.04 * p[0]
    roof = 1.0 - 0.55 * step(tall * 0.7, 2.0 * tall, y)
    flat = box2(x, y - tall, 0.42 + 0.05 * p[1], tall, 0.10 + 0.10 * p[2])
    body = smax(flat, abs(z) - 0.19 * roof, 0.06)
    high = 0.02 + 0.10 * p[4]
    up = arch2(x, y - 1.75 * tall, 0.17, high, 0.0)
    gap = abs(z) - 0.085 + 0.10 * max(0.0, y - 1.7 * tall)
    handle = math.sqrt(max(up, 0.0) ** 2 + gap * gap) - 0.020
    handle = max(handle, 1.1 * tall - y)
    return 0.7 * min(body, handle)


@jit
def handbag_part(kind, p, x, y, z):
    if kind == FLAP:
        tall = 0.23 + 0.06 * p[0]
        half = 0.38 + 0.07 * p[1]
        thick = 0.11 + 0.03 * p[2]
        if y > 2.0 * tall + 0.02 or abs(x) > half + 0.002:
            return 1
        edge = 2.0 * tall * _flap_edge(p, x, half)
        if z > thick + 0.012 and abs(x) < 0.046 and abs(y - edge - 0.03) < 0.036:
            return 2
        if z > 0.0 and y > edge - 0.002:
            if p[7] > 0.4 and y < edge + 0.022 and y > edge + 0.012:
                return 4
            return 3
        return 0
    if kind == TOTE:
        tall = 0.30 + 0.05 * p[0]
        sag = 0.012 * math.sin(9.0 * x + 6.0 * p[3]) * step(0.1, 0.5, y)
        half = 0.34 + 0.05 * p[2]
        up = arch2(x, y - 2.0 * tall + 0.10, 0.15, 0.14 + 0.16 * p[4], 0.0)
        if y > 2.0 * tall - 0.11 and up < 0.024 and abs(z + sag) > 0.076:
            return 1
        if y > 2.0 * tall + 0.005:
            return 1
        if abs(z + sag) < 0.11 - 0.02 * y / tall and y > 0.1 and abs(x) < half - 0.01:
            return 5
        if p[5] > 0.6 and y < 0.16:
            return 3
        if p[6] > 0.6 and z > 0.0 and box2(x, y - tall, 0.10, 0.06, 0.02) < 0.0:
            return 3
        return 0
    if kind == HOBO:
        if y > 0.66 + 0.05 * p[1]:
            return 1
        if p[5] > 0.5 and z > 0.0 and abs(y - 0.30 - 0.3 * x * x) < 0.010 and abs(x) < 0.30:
            return 2
        if abs(x) > 0.36 and y > 0.50 and y < 0.56:
            return 2
        if p[6] > 0.5 and x * x + (y - 0.40) ** 2 < 0.0016 and z > 0.0:
            return 2
        return 0
    tall = 0.25 + 0.04 * p[0]
    roof = 1.0 - 0.55 * step(tall * 0.7, 2.0 * tall, y)
    if y > 2.0 * tall + 0.006 or abs(z) > 0.19 * roof + 0.004:
        return 1
    if abs(z) < 0.014 and y > 1.6 * tall:
        return 2
    if p[5] > 0.4 and abs(abs(x) - 0.17) < 0.028:
        return 1
    if p[6] > 0.6 and y < 0.13:
        return 3
    if p[7] > 0.5 and abs(x) < 0.055 and abs(y - 1.1 * tall) < 0.03 and z > 0.0:
        return 2
    return 0
