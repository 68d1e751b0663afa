"""Wristwatches of several shapes, as signed distances with painted parts; see `variants`."""

from __future__ import annotations

import math

from .kinds import LOOP, ROUND, SQUARE
from .primitives import box, box2, capsule, cylinder, jit, step


@jit
def _watch_axes(kind, p, x, y, z):
    """Into the dial's axes: z out of the dial."""
    a = (0.10 + 0.22 * p[0]) if kind == LOOP else (0.08 + 0.30 * p[0])
    c, s = math.cos(a), math.sin(a)
    y = y - (0.42 if kind == LOOP else 0.54)
    return x, c * y - s * z, s * y + c * z


@jit
def _strap(p, x, y, z):
    """Strap of a watch that lies open: bent backwards above and below the case."""
    ay = abs(y)
    back = 0.75 * max(0.0, ay - 0.20) ** 2
    wide = 0.145 - 0.035 * step(0.2, 0.5, ay)
    d = box(x, ay - 0.27, z + back - 0.005, wide, 0.25, 0.022, 0.014)
    if p[6] > 0.62:  # metal links
        groove = math.sin(ay * 105.0)
        d += 0.007 * step(0.55, 0.95, groove) + 0.004 * step(0.03, 0.02, abs(abs(x) - 0.055))
    return d


@jit
def wristwatch(kind, p, x, y, z):
    wx, wy, wz = _watch_axes(kind, p, x, y, z)
    if kind == LOOP:
        yy = y - 0.41
        loop = math.sqrt(yy * yy + (z * 1.08) ** 2)
        width = 0.15 - 0.03 * step(0.0, -0.35, z)
        strap = box(x, loop - 0.38, 0.0, width, 0.026, 1.0, 0.015)
        r = 0.26 + 0.04 * p[1]
        case = cylinder(math.sqrt(wx * wx + wy * wy) - r, abs(wz - 0.36) - 0.055, 0.025)
        case = max(
            case, -cylinder(math.sqrt(wx * wx + wy * wy) - r + 0.035, abs(wz - 0.42) - 0.02, 0.004)
        )
        crown = box(wx - r - 0.02, wy, wz - 0.36, 0.035, 0.035, 0.03, 0.01)
        return 0.85 * min(strap, min(case, crown))
    strap = _strap(p, wx, wy, wz)
    if kind == ROUND:
        r = 0.225 + 0.045 * p[1]
        rho = math.sqrt(wx * wx + wy * wy)
        case = cylinder(rho - r, abs(wz - 0.02) - 0.055, 0.022)
        case = max(case, -cylinder(rho - r + 0.030, abs(wz - 0.085) - 0.022, 0.004))
        crown = cylinder(
            math.sqrt(wy * wy + (wz - 0.02) ** 2) - 0.030, abs(wx - r - 0.025) - 0.028, 0.008
        )
        if p[7] > 0.55:  # pushers
            push = box(
                wx - 0.86 * r - 0.01, abs(wy) - 0.62 * r, wz - 0.02, 0.04, 0.022, 0.02, 0.008
            )
            crown = min(crown, push)
        lug = capsule(abs(wx), abs(wy), wz, 0.125, r - 0.06, 0.01, 0.125, r + 0.055, -0.01, 0.026)
        return 0.8 * min(min(strap, case), min(crown, lug))
    hx, hy = 0.185 + 0.04 * p[1], 0.215 + 0.05 * p[2]
    flat = box2(wx, wy, hx, hy, 0.05 + 0.05 * p[3])
    case = cylinder(flat, abs(wz - 0.02) - 0.050, 0.020)
    crown = box(wx - hx - 0.01, wy - 0.05, wz - 0.02, 0.026, 0.032, 0.022, 0.01)
    return 0.8 * min(min(strap, case), crown)


@jit
def _digit(n, x, y):
    """Seven segments of digit n in x -0.5..0.5, y -1..1."""
    a = abs(x) < 0.36
    on = 0b1110111
    if n == 1:
        on = 0b0100100
    elif n == 2:
        on = 0b1011101
    elif n == 3:
        on = 0b1101101
    elif n == 4:
        on = 0b0101110
    elif n == 5:
        on = 0b1101011
    elif n == 6:
        on = 0b1111011
    elif n == 7:
        on = 0b0100101
    elif n == 8:
        on = 0b1111111
    elif n == 9:
        on = 0b1101111
    # bits: 0 top, 1 upper left, 2 upper right, 3 middle, 4 lower left, 5 lower right, 6 bottom
    if abs(y - 0.85) < 0.15 and a:
        return on & 1 > 0
    if abs(y) < 0.13 and a:
        return on >> 3 & 1 > 0
    if abs(y + 0.85) < 0.15 and a:
        return on >> 6 & 1 > 0
    if abs(abs(x) - 0.36) < 0.14 and abs(y) < 1.0:
        if y > 0:
            return (on >> (1 if x < 0 else 2)) & 1 > 0
        return (on >> (4 if x < 0 else 5)) & 1 > 0
    return False


@jit
def _dial(p, x, y, r):
    """Part of a dial at a place in it: 3 ground, 2 hands and marks, 5 small dials."""
    rho = math.sqrt(x * x + y * y)
    turn = math.atan2(x, y)
    for k in range(2):
        a = 6.2832 * (p[8] if k == 0 else p[9])
        long = r * (0.74 if k == 0 else 0.52)
        along = x * math.sin(a) + y * math.cos(a)
        across = abs(x * math.cos(a) - y * math.sin(a))
        thick = (0.045 + 0.022 * k) * r
        if -0.14 * r < along < long and across < thick * (1.0 - 0.45 * max(0.0, along / long)):
            return 2
    if rho < 0.075 * r:
        return 2
    a = 6.2832 * p[10]
    along = x * math.sin(a) + y * math.cos(a)
    if -0.2 * r < along < 0.8 * r and abs(x * math.cos(a) - y * math.sin(a)) < 0.016 * r:
        return 6
    hour = turn / 6.2832 * 12.0
    off = abs(hour - math.floor(hour + 0.5)) / 12.0 * 6.2832 * rho
    quarter = math.floor(hour + 0.5) % 3 == 0
    if p[11] > 0.35:  # bars
        inner = (0.70 if quarter else 0.76) * r
        if off < (0.050 if quarter else 0.030) * r and inner < rho < 0.92 * r:
            return 2
    else:  # dots
        d = math.sqrt((rho - 0.82 * r) ** 2 + off * off)
        if d < (0.075 if quarter else 0.05) * r:
            return 2
    minute = turn / 6.2832 * 60.0
    if rho > 0.945 * r and abs(minute - math.floor(minute + 0.5)) < 0.16:
        return 2
    if p[7] > 0.55:  # chronograph
        for k in range(3):
            b = 6.2832 * (0.25 + 0.25 * k)
            d = math.sqrt((x - 0.44 * r * math.sin(b)) ** 2 + (y - 0.44 * r * math.cos(b)) ** 2)
            if d < 0.20 * r:
                return 5 if d < 0.17 * r else 2
    return 3


@jit
def wristwatch_part(kind, p, x, y, z):
    wx, wy, wz = _watch_axes(kind, p, x, y, z)
    if kind == SQUARE:
        hx, hy = 0.185 + 0.04 * p[1], 0.215 + 0.05 * p[2]
        flat = box2(wx, wy, hx, hy, 0.05 + 0.05 * p[3])
        if wx > hx + 0.002 and wz > -0.04 and abs(wy - 0.05) < 0.05:
            return 1
        if flat > 0.006 or wz < -0.028:
            return 0
        if wz < 0.055 or flat > -0.030:
            return 1
        if p[4] > 0.45:  # a screen
            dx, dy = wx / (0.36 * hx), (wy - 0.02) / (0.34 * hx)
            col = math.floor(dx + 2.0)
            if 0 <= col < 4:
                n = int(p[8 + int(col)] * 9.99)
                gx = dx + 2.0 - col - 0.5
                if _digit(n, gx * 1.25, dy):
                    return 6
            if abs(wx) < 0.008 and (abs(abs(wy - 0.02) - 0.022) < 0.008):
                return 6
            if abs(wy + 0.6 * hy) < 0.02 and math.sin(90.0 * wx) > -0.2 and abs(wx) < 0.7 * hx:
                return 6
            return 4
        s = max(abs(wx) / hx, abs(wy) / hy)
        rho = math.sqrt(wx * wx + wy * wy) + 1e-6
        k = s * hx / rho  # the round dial, stretched to the case
        return _dial(p, wx * k, wy * k * 1.0, hx - 0.030)
    r = (0.26 + 0.04 * p[1]) if kind == LOOP else (0.225 + 0.045 * p[1])
    rho = math.sqrt(wx * wx + wy * wy)
    high = 0.36 if kind == LOOP else 0.02
    if wz > high - 0.07 and (wx > r - 0.02 and abs(wy) < r):
        return 1
    if kind == ROUND and rho > r + 0.004 and wz > -0.05:
        lug = capsule(abs(wx), abs(wy), wz, 0.125, r - 0.06, 0.01, 0.125, r + 0.055, -0.01, 0.026)
        if lug < 0.004:
            return 1
    if rho > r + 0.004 or wz < high - 0.07:
        return 0
    if rho > r - 0.033 or wz < high + 0.02:
        if p[5] > 0.6 and rho > r - 0.05 and wz > high + 0.04:
            turn = math.atan2(wx, wy) / 6.2832 * 12.0
            return 6 if abs(turn - math.floor(turn + 0.5)) < 0.12 else 7
        return 1
    return _dial(p, wx, wy, r - 0.033)
