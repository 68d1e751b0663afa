"""Mugs and bottles of several shapes, as signed distances with painted parts; see `variants`."""

from __future__ import annotations

import math

from .kinds import BARREL, CUP, SPORT, SQUARE_BOTTLE, STRAIGHT, WINE
from .primitives import box, box2, cylinder, jit, smax, smin, step


@jit
def _mug_radius(kind, p, y):
    if kind == STRAIGHT:
        h = 0.70 + 0.16 * p[0]
        return (0.33 + 0.06 * p[1]) * (1.0 + 0.30 * (p[2] - 0.4) * (y / h - 0.5)), h
    if kind == BARREL:
        h = 0.66 + 0.12 * p[0]
        t = y / h
        return 0.30 + 0.04 * p[1] + (0.05 + 0.07 * p[2]) * 4.0 * t * (1.0 - t) - 0.02 * t, h
    h = 0.44 + 0.08 * p[0]
    t = min(1.0, max(0.0, (y - 0.04) / h))
    return 0.19 + (0.17 + 0.04 * p[1]) * math.sqrt(t + 0.02), h + 0.04


@jit
def mug(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    rad, h = _mug_radius(kind, p, min(max(y, 0.0), 1.0))
    outer = cylinder(rho - rad, abs(y - 0.5 * h) - 0.5 * h, 0.02)
    inner = max(rho - rad + 0.040, 0.06 - y)
    cup = smax(outer, -inner, 0.012)
    low = 0.5 * h if kind != CUP else 0.56 * h
    edge, _ = _mug_radius(kind, p, low)
    size = (0.20 if kind != CUP else 0.12) * (0.9 + 0.2 * p[3])
    hx, hy = (x - edge) * (0.9 + 0.25 * p[12]), (y - low) * (0.72 + 0.25 * p[13])
    ring = math.sqrt(hx * hx + hy * hy) - size
    thick = 0.042 if kind != CUP else 0.028
    handle = max(math.sqrt(ring * ring + (z * 0.85) ** 2) - thick, rad - 0.03 - rho)
    best = smin(cup, handle, 0.03)
    if kind == CUP:
        dish = cylinder(rho - 0.46, abs(y - 0.02 - 0.10 * step(0.22, 0.5, rho)) - 0.012, 0.008)
        best = min(best, 0.8 * dish)
    return 0.72 * best


@jit
def mug_part(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    rad, h = _mug_radius(kind, p, min(max(y, 0.0), 1.0))
    if kind == CUP and y < 0.04 + 0.10 * step(0.22, 0.5, rho) and rho > 0.21:
        return 4 if rho < 0.43 else 1
    if rho < rad - 0.022 and y > 0.05:
        return 2 if y > 0.8 * h or p[6] < 0.4 else 5
    if rho > rad + 0.012:
        return 3
    if p[4] > 0.62 and abs(y / h - 0.5) < 0.10 + 0.05 * p[5]:
        return 1
    if p[4] < 0.12 and y / h > 0.88:
        return 1
    if 0.12 <= p[4] < 0.22 and y / h < 0.30:
        return 1
    return 0


@jit
def bottle(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    if kind == WINE:
        rb, hb = 0.155 + 0.03 * p[0], 0.60 + 0.08 * p[1]
        body = cylinder(rho - rb, abs(y - 0.5 * hb) - 0.5 * hb, 0.03 + 0.09 * p[2])
        neck = cylinder(rho - 0.055, abs(y - 0.78) - 0.26, 0.01)
        ring = cylinder(rho - 0.068, abs(y - 0.985) - 0.02, 0.008)
        foil = cylinder(rho - 0.060, abs(y - 0.96) - 0.085, 0.012)
        return 0.8 * min(smin(body, neck, 0.10 + 0.14 * p[3]), min(ring, foil))
    if kind == SPORT:
        rb, hb = 0.175 + 0.03 * p[0], 0.80
        waist = 0.025 * math.exp(-(((y - 0.50) / 0.12) ** 2)) if p[1] > 0.5 else 0.0
        body = cylinder(rho - rb + waist, abs(y - 0.5 * hb) - 0.5 * hb, 0.05)
        neck = cylinder(rho - rb * 0.70, abs(y - 0.82) - 0.06, 0.01)
        cap = cylinder(rho - rb * 0.80, abs(y - 0.92) - 0.065, 0.03)
        cap += 0.006 * step(0.2, 0.9, math.sin(26.0 * math.atan2(z, x)))
        if p[2] > 0.5:
            ring = math.sqrt(x * x + (y - 1.01) ** 2) - 0.07
            top = math.sqrt(ring * ring + z * z) - 0.020
        else:
            top = cylinder(rho - 0.05, abs(y - 1.01) - 0.05, 0.02)
        return 0.8 * min(smin(body, neck, 0.06), min(cap, top))
    if kind == SQUARE_BOTTLE:
        hb = 0.58 + 0.08 * p[0]
        body = box(x, y - 0.5 * hb, z, 0.21 + 0.05 * p[1], 0.5 * hb, 0.13 + 0.04 * p[2], 0.045)
        neck = cylinder(rho - 0.06, abs(y - 0.68) - 0.16, 0.01)
        cap = cylinder(rho - 0.085, abs(y - 0.88) - 0.09, 0.02)
        return 0.8 * min(smin(body, neck, 0.09), cap)
    hb = 0.66
    rb = 0.19 + 0.03 * p[0]
    ribs = 0.010 * math.sin(y * (40.0 + 30.0 * p[1])) * step(0.0, 0.1, y)
    if p[2] > 0.5:
        ribs = 0.035 * math.exp(-(((y - 0.36) / 0.10) ** 2))
    body = cylinder(rho - rb + ribs, abs(y - 0.5 * hb) - 0.5 * hb, 0.06)
    cone = cylinder(rho - rb + 0.14 * step(0.55, 0.98, y) ** 1.0, abs(y - 0.70) - 0.24, 0.02)
    cap = cylinder(rho - 0.075, abs(y - 0.99) - 0.055, 0.012)
    cap += 0.004 * step(0.2, 0.9, math.sin(30.0 * math.atan2(z, x)))
    return 0.7 * min(smin(body, cone, 0.06), cap)


@jit
def bottle_part(kind, p, x, y, z):
    if kind == WINE:
        if y > 0.86:
            return 2
        hb = 0.60 + 0.08 * p[1]
        if abs(y - 0.46 * hb) < 0.13 and (z > -0.02 or p[4] > 0.5):
            if abs(y - 0.52 * hb) < 0.030 and abs(x) < 0.09:
                return 3
            if abs(y - 0.40 * hb) < 0.009 and abs(x) < 0.07:
                return 3
            return 1
        if p[5] > 0.7 and abs(y - 0.72) < 0.02:
            return 1
        return 0
    if kind == SPORT:
        if y > 0.845:
            return 2
        if p[4] > 0.5 and abs(y - 0.70) < 0.03:
            return 1
        if p[4] < 0.25 and y < 0.10:
            return 1
        if p[5] > 0.5 and abs(x) < 0.03 and abs(y - 0.36) < 0.18 and z > 0:
            return 3
        return 0
    if kind == SQUARE_BOTTLE:
        if y > 0.785:
            return 2
        if z > 0.1 and box2(x, y - 0.28, 0.15, 0.15, 0.02) < 0.0:
            if abs(y - 0.33) < 0.035 and abs(x) < 0.10:
                return 3
            if abs(y - 0.22) < 0.010 and abs(x) < 0.08:
                return 3
            return 1
        return 0
    if y > 0.93:
        return 2
    if abs(y - 0.36) < 0.12 and p[4] > 0.2:
        if abs(y - 0.36) < 0.04 and math.sin(14.0 * math.atan2(x, z)) > -0.3:
            return 3
        return 1
    return 0
