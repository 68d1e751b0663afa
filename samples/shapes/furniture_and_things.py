"""Signed distances of the studio's chair, lamp, plant and books."""

from __future__ import annotations

import math

from .primitives import box, capsule, cylinder, ellipsoid, jit, smin


@jit
def chair(p, x, y, z):
    ax = abs(x)
    seat = box(x, y - 0.45, z, 0.26, 0.035, 0.25, 0.03)
    lean = 0.14 * p[0]
    zz = z + 0.215 + lean * (y - 0.45)
    if p[1] > 0.5:
        back = box(x, y - 0.83, zz, 0.25, 0.20, 0.028, 0.03)
    else:
        gap = abs(abs(y - 0.80) - 0.11) if p[1] > 0.25 else abs(y - 0.85)
        back = box(x, gap, zz, 0.25, 0.055 if p[1] > 0.25 else 0.11, 0.026, 0.02)
    post = capsule(ax, y, zz, 0.215, 0.45, 0.0, 0.215, 0.97, 0.0, 0.03)
    out = 0.02 + 0.05 * p[2]
    leg = capsule(ax, y, abs(z), 0.20, 0.44, 0.19, 0.20 + out, 0.03, 0.19 + out, 0.034)
    return 0.9 * min(min(seat, back), min(post, leg))


@jit
def chair_part(p, x, y, z):
    if y < 0.412:
        return 1
    return 0


@jit
def lamp(p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    low, high = 0.34 + 0.08 * p[0], 0.16 + 0.14 * p[1]
    start = 0.56 + 0.06 * p[2]
    t = (y - start) / (1.04 - start)
    slope = (low - high) / (1.04 - start)
    shade = cylinder(
        (rho - low + (low - high) * t) / math.sqrt(1.0 + slope * slope),
        abs(y - 0.5 * (1.04 + start)) - 0.5 * (1.04 - start),
        0.015,
    )
    hollow = max(rho - low + (low - high) * t + 0.03, start - 0.1 - y)
    shade = max(shade, -max(hollow, y - 1.02))
    stem = cylinder(rho - 0.032, abs(y - 0.35) - 0.35, 0.01)
    if p[3] > 0.5:
        base = ellipsoid(x, y - 0.24, z, 0.17 + 0.05 * p[4], 0.235, 0.17 + 0.05 * p[4])
        base = smin(base, cylinder(rho - 0.13, abs(y - 0.02) - 0.02, 0.01), 0.05)
    else:
        base = cylinder(rho - 0.19 - 0.05 * p[4], abs(y - 0.025) - 0.025, 0.012)
    return 0.85 * min(shade, smin(stem, base, 0.05))


@jit
def lamp_part(p, x, y, z):
    return 1 if y < 0.55 + 0.06 * p[2] else 0


@jit
def plant(p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    rad = 0.17 + 0.16 * y
    pot = cylinder(rho - rad, abs(y - 0.17) - 0.17, 0.02) * 0.9
    best = pot
    for k in range(7):
        a = 6.2832 * (k / 7.0 + p[k % 8])
        lift = 0.55 + 0.22 * p[(k + 3) % 8]
        c, s = math.cos(a), math.sin(a)
        lx, lz = c * x + s * z - 0.15, -s * x + c * z
        ly = y - lift
        tx, ty = 0.6 * lx + 0.8 * ly, -0.8 * lx + 0.6 * ly
        best = min(best, ellipsoid(tx, ty, lz, 0.27, 0.035, 0.09))
    return 0.75 * best


@jit
def books(p, x, y, z):
    best = 1e9
    base = 0.0
    for k in range(3):
        h = 0.045 + 0.02 * p[k]
        a = 0.5 * (p[k + 3] - 0.5)
        c, s = math.cos(a), math.sin(a)
        d = box(c * x + s * z, y - base - h, -s * x + c * z, 0.36 - 0.03 * k, h, 0.26, 0.012)
        best = min(best, d)
        base += 2.0 * h
    return best


@jit
def books_part(p, x, y, z):
    base = 0.0
    for k in range(3):
        base += 2.0 * (0.045 + 0.02 * p[k])
        if y < base:
            return k
    return 2
