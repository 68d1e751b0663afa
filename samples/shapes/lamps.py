"""Lamps of several shapes, as signed distances with painted parts; see `variants`."""

from __future__ import annotations

import math

from .kinds import DESK_LAMP, FLOOR_LAMP, TABLE_LAMP
from .primitives import capsule, cylinder, ellipsoid, jit, smin, step


@jit
def _shade_of(kind, p):
    """(bottom, top, radius below, radius above) of a cone-shaped shade."""
    if kind == FLOOR_LAMP:
        return 0.92, 1.22, 0.23 + 0.08 * p[0], 0.13 + 0.08 * p[1]
    return 0.58, 0.98 + 0.06 * p[2], 0.30 + 0.10 * p[0], 0.15 + 0.16 * p[1]


@jit
def lamp(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    if kind in (TABLE_LAMP, FLOOR_LAMP):
        start, end, low, high = _shade_of(kind, p)
        t = (y - start) / (end - start)
        slope = (low - high) / (end - start)
        edge = (rho - low + (low - high) * t) / math.sqrt(1.0 + slope * slope)
        shade = cylinder(edge, abs(y - 0.5 * (start + end)) - 0.5 * (end - start), 0.012)
        shade = max(shade, -max(edge + 0.022, start - 0.1 - y))
        stem = cylinder(rho - 0.022, abs(y - 0.5 * start - 0.02) - 0.5 * start - 0.02, 0.01)
        if kind == FLOOR_LAMP:
            if p[3] > 0.5:
                base = cylinder(rho - 0.20, abs(y - 0.018) - 0.018, 0.01)
            else:
                turn = math.atan2(z, x)
                a = (math.floor(turn / 2.0944 + p[4]) + 0.5 - p[4]) * 2.0944
                lx, lz = math.cos(a) * x + math.sin(a) * z, -math.sin(a) * x + math.cos(a) * z
                base = capsule(lx, y, lz, 0.02, 0.80, 0.0, 0.30, 0.02, 0.0, 0.020)
                stem = cylinder(rho - 0.022, abs(y - 0.86) - 0.08, 0.01)
            return 0.8 * min(shade, min(stem, base))
        if p[3] > 0.66:
            base = ellipsoid(x, y - 0.24, z, 0.16 + 0.06 * p[4], 0.24, 0.16 + 0.06 * p[4])
            base = smin(base, cylinder(rho - 0.12, abs(y - 0.02) - 0.02, 0.01), 0.05)
        elif p[3] > 0.33:
            a = math.sqrt(x * x + (y - 0.13) ** 2 + z * z) - 0.12
            b = math.sqrt(x * x + (y - 0.33) ** 2 + z * z) - 0.095
            base = smin(a, b, 0.03)
            base = min(base, cylinder(rho - 0.13, abs(y - 0.015) - 0.015, 0.008))
        else:
            base = cylinder(rho - 0.17 - 0.05 * p[4], abs(y - 0.02) - 0.02, 0.012)
        return 0.8 * min(shade, smin(stem, base, 0.04))
    if kind == DESK_LAMP:
        base = cylinder(math.sqrt((x + 0.10) ** 2 + z * z) - 0.17, abs(y - 0.02) - 0.02, 0.012)
        ex, ey = -0.24 - 0.06 * p[0], 0.48 + 0.06 * p[1]
        hx, hy = 0.12 + 0.06 * p[2], 0.84 + 0.06 * p[3]
        arms = min(
            capsule(x, y, z, -0.10, 0.03, 0.0, ex, ey, 0.0, 0.017),
            capsule(x, y, z, ex, ey, 0.0, hx, hy, 0.0, 0.017),
        )
        joint = math.sqrt((x - ex) ** 2 + (y - ey) ** 2 + z * z) - 0.034
        a = 0.35 + 0.5 * p[4]
        c, s = math.cos(a), math.sin(a)
        lx, ly = c * (x - hx) + s * (y - hy), -s * (x - hx) + c * (y - hy)
        # the head opens towards -y of its own axes
        r2 = math.sqrt(lx * lx + z * z)
        t = min(1.0, max(0.0, (0.06 - ly) / 0.26))
        edge = (r2 - 0.055 - 0.13 * math.sqrt(t)) * 0.85
        head = max(edge, abs(ly + 0.07) - 0.13)
        head = max(head, -max(edge + 0.018, ly - 0.03))
        return 0.7 * min(min(base, arms), min(joint, head))
    high = 0.62 + 0.10 * p[0]
    wide, dome = 0.32 + 0.07 * p[1], 0.20 + 0.08 * p[2]
    cap = ellipsoid(x, y - high + 0.14, z, wide, dome, wide)
    hollow = ellipsoid(x, y - high + 0.16, z, wide - 0.022, dome - 0.022, wide - 0.022)
    cap = max(cap, max(-hollow, high - 0.16 - y))
    waist = 0.055 + 0.09 * p[3] * step(0.30, 0.0, y)
    stem = cylinder(rho - waist, abs(y - 0.5 * (high - 0.05)) - 0.5 * (high - 0.05), 0.015)
    base = cylinder(rho - 0.16 - 0.03 * p[4], abs(y - 0.02) - 0.02, 0.015)
    bulb = math.sqrt(x * x + (y - high + 0.08) ** 2 + z * z) - 0.075
    return 0.7 * min(min(cap, bulb), smin(stem, base, 0.05))


@jit
def lamp_part(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    if kind in (TABLE_LAMP, FLOOR_LAMP):
        start, end, low, high = _shade_of(kind, p)
        if y < start - 0.004:
            return 1
        t = (y - start) / (end - start)
        slope = (low - high) / (end - start)
        edge = (rho - low + (low - high) * t) / math.sqrt(1.0 + slope * slope)
        if edge < -0.012:
            return 2
        if p[5] > 0.6 and (t < 0.07 or t > 0.93):
            return 3
        return 0
    if kind == DESK_LAMP:
        hx, hy = 0.12 + 0.06 * p[2], 0.84 + 0.06 * p[3]
        a = 0.35 + 0.5 * p[4]
        c, s = math.cos(a), math.sin(a)
        lx, ly = c * (x - hx) + s * (y - hy), -s * (x - hx) + c * (y - hy)
        r2 = math.sqrt(lx * lx + z * z)
        t = min(1.0, max(0.0, (0.06 - ly) / 0.26))
        edge = (r2 - 0.055 - 0.13 * math.sqrt(t)) * 0.85
        if ly < 0.065 and ly > -0.21 and edge < 0.012:
            return 2 if edge < -0.008 else 0
        return 0 if y < 0.045 and p[5] > 0.5 else 1
    high = 0.62 + 0.10 * p[0]
    wide, dome = 0.32 + 0.07 * p[1], 0.20 + 0.08 * p[2]
    if y > high - 0.162 and ellipsoid(x, y - high + 0.14, z, wide, dome, wide) > -0.012:
        return 0
    return 2 if y > high - 0.17 and rho < 0.08 else 1
