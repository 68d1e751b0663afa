"""Chairs of several shapes, as signed distances with painted parts; see `variants`."""

from __future__ import annotations

import math

from .kinds import ARMCHAIR, DINING, OFFICE
from .primitives import box, capsule, cylinder, jit, smin, step


@jit
def chair(kind, p, x, y, z):
    ax = abs(x)
    if kind == DINING:
        if p[3] > 0.6:
            rho = math.sqrt(x * x + z * z)
            seat = cylinder(rho - 0.26, abs(y - 0.45) - 0.028, 0.02)
        else:
            seat = box(x, y - 0.45, z, 0.26, 0.030, 0.25, 0.03)
        lean = 0.16 * p[0] + 0.04
        zz = z + 0.215 + lean * (y - 0.45)
        top = 0.97
        if p[1] > 0.66:
            back = box(x, y - 0.82, zz, 0.24, 0.19, 0.026, 0.05)
        elif p[1] > 0.33:
            bars = x - 0.095 * math.floor(x / 0.095 + 0.5)
            back = box(bars, y - 0.70, zz, 0.018, 0.24, 0.014, 0.01)
            back = max(back, ax - 0.20)
            back = min(back, box(x, y - 0.94, zz, 0.235, 0.045, 0.022, 0.02))
        else:
            gap = abs(abs(y - 0.78) - 0.12)
            back = box(x, gap, zz, 0.22, 0.045, 0.018, 0.015)
        post = capsule(ax, y, zz, 0.225, 0.45, 0.0, 0.225, top, 0.0, 0.026)
        out = 0.01 + 0.06 * p[2]
        leg = capsule(ax, y, abs(z), 0.205, 0.44, 0.20, 0.205 + out, 0.028, 0.20 + out, 0.028)
        best = min(min(seat, back), min(post, leg))
        if p[4] > 0.5:
            best = min(best, capsule(ax, y, z, 0.215, 0.2, -0.20, 0.215, 0.2, 0.20, 0.016))
        if p[5] > 0.5:
            best = min(best, box(x, y - 0.50, z, 0.235, 0.032, 0.225, 0.03))
        return 0.85 * best
    if kind == ARMCHAIR:
        wide = 0.30 + 0.04 * p[0]
        seat = box(x, y - 0.24, z - 0.02, wide - 0.04, 0.13, 0.32, 0.05)
        cushion = box(x, y - 0.40, z - 0.05, wide - 0.07, 0.065, 0.27, 0.05)
        lean = 0.18 + 0.10 * p[1]
        zz = z + 0.26 + lean * (y - 0.40)
        back = box(x, y - 0.60, zz, wide, 0.24 + 0.06 * p[2], 0.085, 0.08)
        arm = box(ax - wide - 0.02, y - 0.36, z, 0.075, 0.24, 0.32, 0.06 + 0.014 * p[3])
        leg = capsule(ax, y, abs(z), wide - 0.02, 0.14, 0.24, wide + 0.01, 0.02, 0.27, 0.022)
        return 0.8 * min(min(smin(seat, back, 0.03), cushion), min(arm, leg))
    if kind == OFFICE:
        seat = box(x, y - 0.48, z - 0.02, 0.26, 0.045, 0.25, 0.045)
        curve = 0.35 * x * x
        zz = z + 0.235 - curve + 0.12 * (y - 0.6)
        back = box(x, y - 0.83, zz, 0.23, 0.21 + 0.04 * p[0], 0.035, 0.035)
        stalk = capsule(x, y, z, 0.0, 0.44, -0.20, 0.0, 0.72, -0.275, 0.026)
        column = cylinder(math.sqrt(x * x + z * z) - 0.032, abs(y - 0.28) - 0.20, 0.01)
        turn = math.atan2(z, x)
        slot = math.floor(turn / 1.25664 + p[1]) + 0.5 - p[1]
        a = slot * 1.25664
        c, s = math.cos(a), math.sin(a)
        lx, lz = c * x + s * z, -s * x + c * z
        foot = capsule(lx, y, lz, 0.03, 0.13, 0.0, 0.33, 0.075, 0.0, 0.024)
        roll = cylinder(
            math.sqrt((lx - 0.33) ** 2 + (y - 0.042) ** 2) - 0.042, abs(lz) - 0.022, 0.008
        )
        best = min(min(seat, back), min(stalk, column))
        best = min(best, min(foot, roll))
        if p[2] > 0.4:
            arm = box(ax - 0.31, y - 0.68, z, 0.035, 0.018, 0.15, 0.016)
            best = min(best, min(arm, capsule(ax, y, z, 0.25, 0.48, 0.0, 0.31, 0.67, 0.0, 0.020)))
        return 0.75 * best
    # a one-piece shell
    curve = 0.30 * x * x
    seat = box(x, y - 0.42 - 0.5 * curve, z - 0.02, 0.25, 0.020, 0.24, 0.02)
    zz = z + 0.20 + 0.22 * (y - 0.42) - 1.1 * curve
    wide = 0.25 - 0.05 * step(0.6, 0.9, y)
    back = box(x, y - 0.66, zz, wide, 0.24, 0.020, 0.02)
    body = smin(seat, back, 0.16)
    if p[0] > 0.55:
        arm = box(ax - 0.265, y - 0.57 + 0.25 * z, z + 0.02, 0.016, 0.09, 0.19, 0.016)
        body = smin(body, arm, 0.10)
    leg = capsule(ax, y, abs(z), 0.10, 0.42, 0.09, 0.245, 0.025, 0.235, 0.022)
    if p[1] > 0.5:
        leg = min(leg, capsule(ax, y, abs(z), 0.0, 0.25, 0.16, 0.17, 0.25, 0.16, 0.010))
    return 0.65 * min(body, leg)


@jit
def chair_part(kind, p, x, y, z):
    if kind == DINING:
        if p[5] > 0.5 and y > 0.484 and y < 0.54 and z > -0.19:
            return 2
        return 1 if y < 0.418 else 0
    if kind == ARMCHAIR:
        wide = 0.30 + 0.04 * p[0]
        if y < 0.112:
            return 1
        return 2 if y > 0.33 and y < 0.47 and abs(x) < wide - 0.068 and z > -0.2 else 0
    if kind == OFFICE:
        if y < 0.433:
            return 1
        if y > 0.53 and z > -0.14 and abs(x) > 0.24:
            return 1
        return (
            1 if z < -0.262 + 0.35 * x * x - 0.12 * (y - 0.6) and abs(x) < 0.03 and y < 0.7 else 0
        )
    return 1 if y < 0.392 else 0
