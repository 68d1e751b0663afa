"""Things that are none of the products: random bodies, fruit, animals, houses, tools and others.

A detector must stay silent on them. Same interface as `variants`.
"""

from __future__ import annotations

import math

from .primitives import box, capsule, cylinder, ellipsoid, jit, smin, step

FIRST = 60
KINDS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("blob", (0.62, 1.10, 0.62)),
    ("heap", (0.58, 0.66, 0.58)),
    ("apple", (0.42, 0.86, 0.42)),
    ("banana", (0.56, 0.50, 0.20)),
    ("carton", (0.50, 0.92, 0.42)),
    ("tree", (0.50, 1.16, 0.50)),
    ("animal", (0.66, 1.02, 0.26)),
    ("duck", (0.50, 0.76, 0.32)),
    ("house", (0.52, 0.94, 0.42)),
    ("tower", (0.34, 1.22, 0.34)),
    ("vase", (0.36, 1.04, 0.36)),
    ("bowl", (0.52, 0.42, 0.52)),
    ("ring", (0.54, 1.08, 0.24)),
    ("slab", (0.42, 0.96, 0.30)),
    ("tool", (0.22, 1.10, 0.22)),
    ("clock", (0.48, 1.00, 0.20)),
    ("table", (0.60, 0.62, 0.42)),
    ("hat", (0.52, 0.52, 0.52)),
    ("cone", (0.40, 0.92, 0.40)),
    ("bicycle", (0.66, 0.76, 0.14)),
    ("candle", (0.24, 0.84, 0.24)),
    ("pear", (0.36, 0.96, 0.36)),
    ("drawers", (0.46, 1.02, 0.34)),
    ("cup-cake", (0.40, 0.72, 0.40)),
)
"""Name, and half size x, height, half size z."""
(BLOB, HEAP, APPLE, BANANA, CARTON, TREE, ANIMAL, DUCK, HOUSE, TOWER, VASE, BOWL) = range(
    FIRST, FIRST + 12
)
(RING, SLAB, TOOL, CLOCK, TABLE, HAT, CONE, BICYCLE, CANDLE, PEAR, DRAWERS, CAKE) = range(
    FIRST + 12, FIRST + 24
)


@jit
def _solid(which, a, b, x, y, z):
    """One of five solids of half size about 0.2 to 0.4."""
    s = 0.14 + 0.22 * a
    t = 0.10 + 0.24 * b
    if which < 0.25:
        return ellipsoid(x, y, z, s, t, s)
    if which < 0.45:
        return box(x, y, z, s, t, 0.7 * s, 0.05 * b + 0.01)
    if which < 0.65:
        return cylinder(math.sqrt(x * x + z * z) - s, abs(y) - t, 0.02)
    if which < 0.85:
        return capsule(x, y, z, -t, -0.1, 0.0, t, 0.1, 0.0, 0.05 + 0.12 * a)
    ring = math.sqrt(x * x + y * y) - s
    return math.sqrt(ring * ring + z * z) - 0.04 - 0.06 * b


@jit
def _blob(p, x, y, z):
    best = 1e9
    soft = 0.02 + 0.16 * p[0] * p[0]
    count = 1 + int(p[1] * 3.99)
    for k in range(count):
        q = 2 + 5 * k
        a = 6.2832 * p[q]
        c, s = math.cos(a), math.sin(a)
        px, pz = x - 0.22 * (2 * p[q + 1] - 1), z - 0.16 * (2 * p[q + 3] - 1)
        py = y - 0.32 - 0.40 * p[q + 2] * (k > 0)
        lx, ly = c * px + s * py, -s * px + c * py
        d = _solid(p[q + 4], p[(q + 6) % 24], p[(q + 9) % 24], lx, ly, pz)
        best = d if k == 0 else smin(best, d, soft)
    return 0.75 * max(best, -y)


@jit
def _heap(p, x, y, z):
    best = 1e9
    for k in range(9):
        level = 0 if k < 5 else (1 if k < 8 else 2)
        turn = 6.2832 * (p[k] + k * 0.382)
        out = (0.32 - 0.13 * level) * (0.5 + 0.5 * p[k + 9])
        r = 0.11 + 0.06 * p[(k + 3) % 24]
        cx, cz = out * math.cos(turn), out * math.sin(turn)
        cy = 0.13 + 0.17 * level
        if p[20] > 0.5:
            d = math.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - r
        else:
            c, s = math.cos(turn), math.sin(turn)
            lx, lz = c * (x - cx) + s * (z - cz), -s * (x - cx) + c * (z - cz)
            d = box(lx, y - cy, lz, r, 0.10, 0.7 * r, 0.02)
        best = min(best, d)
    return 0.85 * best


@jit
def _animal(p, x, y, z):
    leg = 0.22 + 0.16 * p[0]
    long = 0.24 + 0.10 * p[1]
    fat = 0.10 + 0.08 * p[2]
    body = capsule(x, y, z, -long, leg + fat, 0.0, long, leg + fat + 0.03, 0.0, fat)
    up = 0.06 + 0.16 * p[3]
    hx, hy = long + 0.12, leg + 2.0 * fat + up
    neck = capsule(x, y, z, long, leg + fat + 0.05, 0.0, hx, hy, 0.0, 0.06 + 0.03 * p[4])
    head = ellipsoid(x - hx - 0.05, y - hy - 0.01, z, 0.13, 0.085, 0.085)
    ear = ellipsoid(x - hx + 0.02, y - hy - 0.10, abs(z) - 0.055, 0.03, 0.07 + 0.05 * p[5], 0.018)
    legs = capsule(
        abs(x + 0.0) - long + 0.02,
        y,
        abs(z),
        0.0,
        leg + 0.04,
        0.6 * fat,
        0.0,
        0.035,
        0.7 * fat,
        0.042,
    )
    tail = capsule(
        x,
        y,
        z,
        -long - fat + 0.04,
        leg + 1.4 * fat,
        0.0,
        -long - fat - 0.10,
        leg + fat + 0.22 * p[6],
        0.0,
        0.026,
    )
    best = smin(smin(body, neck, 0.08), head, 0.05)
    return 0.75 * min(smin(best, legs, 0.05), min(ear, tail))


@jit
def _duck(p, x, y, z):
    body = ellipsoid(x, y - 0.24, z, 0.36, 0.22, 0.24)
    head = math.sqrt((x - 0.20) ** 2 + (y - 0.54) ** 2 + z * z) - 0.16
    beak = ellipsoid(x - 0.37, y - 0.52, z, 0.10, 0.03, 0.07)
    tail = ellipsoid(x + 0.34, y - 0.34, z, 0.13, 0.06, 0.09)
    return 0.75 * min(smin(smin(body, head, 0.10), tail, 0.08), beak)


@jit
def _lathe(kind, p, y):
    """Radius of a turned body at a height."""
    if kind == VASE:
        return 0.15 + 0.05 * p[0] + 0.09 * p[1] * math.sin(2.5 + 5.0 * y + 2.0 * p[2]) + 0.05 * y
    if kind == PEAR:
        return 0.30 * math.sqrt(max(0.0, 1.0 - ((y - 0.30) / 0.31) ** 2))
    return 0.2


@jit
def _body(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    if kind == BLOB:
        return _blob(p, x, y, z)
    if kind == HEAP:
        return _heap(p, x, y, z)
    if kind == APPLE:
        flat = 0.85 + 0.2 * p[0]
        ball = math.sqrt(x * x + ((y - 0.34 * flat) / flat) ** 2 + z * z) - 0.36
        ball += 0.13 * math.exp(-((rho / 0.12) ** 2)) * step(0.3, 0.5, y)
        ball += 0.010 * math.sin(5.0 * math.atan2(z, x)) * step(0.4, 0.0, y)
        stalk = capsule(x, y, z, 0.0, 0.55 * flat, 0.0, 0.05, 0.80 * flat, 0.0, 0.018)
        return 0.7 * min(ball, stalk) if p[1] > 0.3 else 0.7 * ball
    if kind == BANANA:
        cy = 0.75 + 0.1 * p[0]
        a = math.atan2(x, cy - y)
        ring = math.sqrt(x * x + (y - cy) ** 2) - cy + 0.09
        lim = 0.62
        along = max(0.0, abs(a) - lim) * cy
        fat = 0.085 * math.sqrt(max(0.05, 1.0 - (a / 0.68) ** 2))
        return 0.6 * (math.sqrt(ring * ring + z * z + along * along) - fat)
    if kind == CARTON:
        return box(
            x,
            y - 0.2 - 0.22 * p[0],
            z,
            0.24 + 0.2 * p[1],
            0.2 + 0.22 * p[0],
            0.18 + 0.18 * p[2],
            0.01 + 0.06 * p[3] ** 3,
        )
    if kind == TREE:
        best = capsule(x, y, z, 0.0, 0.0, 0.0, 0.0, 0.6, 0.0, 0.045 + 0.03 * p[0])
        if p[1] > 0.5:
            for k in range(6):
                a = 6.2832 * (p[k + 2] + 0.17 * k)
                o = 0.20 * p[k + 8]
                best = min(
                    best,
                    math.sqrt(
                        (x - o * math.cos(a)) ** 2
                        + (y - 0.62 - 0.28 * p[k + 14]) ** 2
                        + (z - o * math.sin(a)) ** 2
                    )
                    - 0.20,
                )
            return 0.8 * best
        for k in range(3):
            low = 0.25 + 0.25 * k
            r = (0.40 - 0.09 * k) * (1.0 - (y - low) / 0.40)
            best = min(best, max((rho - r) * 0.7, low - y))
        return 0.8 * max(best, y - 1.12)
    if kind == ANIMAL:
        return _animal(p, x, y, z)
    if kind == DUCK:
        return _duck(p, x, y, z)
    if kind == HOUSE:
        h = 0.30 + 0.14 * p[0]
        wide = 0.30 + 0.12 * p[1]
        deep = 0.26 + 0.10 * p[2]
        walls = box(x, y - 0.5 * h, z, wide, 0.5 * h, deep, 0.004)
        pitch = 0.6 + 0.5 * p[3]
        roof = max(
            (y - h - pitch * (wide + 0.06 - abs(x))) / math.sqrt(1 + pitch * pitch), h - 0.02 - y
        )
        roof = max(roof, abs(z) - deep - 0.04)
        chimney = box(x - 0.5 * wide, y - h - 0.24, z, 0.045, 0.2, 0.045, 0.004)
        return 0.8 * min(walls, min(roof, chimney))
    if kind == TOWER:
        h = 0.6 + 0.58 * p[0]
        d = box(x, y - 0.5 * h, z, 0.16 + 0.14 * p[1], 0.5 * h, 0.16 + 0.12 * p[2], 0.006)
        return min(d, box(x, y - 0.25 * h, z, 0.30, 0.25 * h, 0.20, 0.006)) if p[3] > 0.6 else d
    if kind in (VASE, PEAR):
        h = 0.60 + 0.40 * p[3]
        if kind == PEAR:
            low = ellipsoid(x, y - 0.30, z, 0.30, 0.30, 0.30)
            top = ellipsoid(x - 0.02, y - 0.58, z, 0.14, 0.20, 0.14)
            stalk = capsule(x, y, z, -0.02, 0.7, 0.0, 0.04, 0.90, 0.0, 0.016)
            return 0.8 * min(smin(low, top, 0.18), stalk)
        r = _lathe(kind, p, y)
        d = cylinder(rho - r, abs(y - 0.5 * h) - 0.5 * h, 0.015)
        return 0.65 * max(d, -max(rho - r + 0.03, 0.05 - y))
    if kind == BOWL:
        deep = 0.24 + 0.12 * p[0]
        d = ellipsoid(x, y - deep, z, 0.34 + 0.14 * p[1], deep, 0.34 + 0.14 * p[1])
        inner = ellipsoid(x, y - deep, z, 0.31 + 0.14 * p[1], deep - 0.03, 0.31 + 0.14 * p[1])
        return 0.7 * max(max(d, -inner), y - deep)
    if kind == RING:
        r = 0.30 + 0.12 * p[0]
        ring = math.sqrt(x * x + (y - r - 0.06) ** 2) - r
        return 0.9 * (math.sqrt(ring * ring + z * z) - 0.05 - 0.06 * p[1])
    if kind == SLAB:
        a = 0.1 + 0.2 * p[0]
        c, s = math.cos(a), math.sin(a)
        ly, lz = c * y - s * z, s * y + c * z
        h = 0.25 + 0.2 * p[1]
        return 0.9 * box(x, ly - h, lz, 0.16 + 0.22 * p[2], h, 0.015 + 0.05 * p[3] ** 2, 0.012)
    if kind == TOOL:
        rod = capsule(x, y, z, 0.0, 0.03, 0.0, 0.0, 0.75, 0.0, 0.022 + 0.02 * p[0])
        if p[1] > 0.66:
            head = ellipsoid(x, y - 0.88, z, 0.13, 0.18, 0.04)
        elif p[1] > 0.33:
            head = box(x, y - 0.88, z, 0.16, 0.06 + 0.04 * p[2], 0.05, 0.02)
        else:
            t = x - 0.07 * math.floor(x / 0.07 + 0.5)
            head = max(box(t, y - 0.88, z, 0.014, 0.17, 0.014, 0.01), abs(x) - 0.12)
            head = min(head, box(x, y - 0.74, z, 0.12, 0.03, 0.014, 0.01))
        return 0.8 * smin(rod, head, 0.03)
    if kind == CLOCK:
        if p[0] > 0.4:
            d = cylinder(math.sqrt(x * x + (y - 0.46) ** 2) - 0.40, abs(z) - 0.05, 0.02)
        else:
            d = box(x, y - 0.46, z, 0.38, 0.38, 0.06, 0.04)
        feet = capsule(abs(x), y, z, 0.24, 0.12, 0.0, 0.30, 0.02, 0.0, 0.025)
        return 0.85 * min(d, feet)
    if kind == TABLE:
        top = box(x, y - 0.54, z, 0.50 + 0.08 * p[0], 0.025, 0.30 + 0.1 * p[1], 0.012)
        if p[2] > 0.5:
            leg = box(abs(x) - 0.44, y - 0.26, abs(z) - 0.25, 0.03, 0.26, 0.03, 0.006)
        else:
            leg = cylinder(rho - 0.05 - 0.16 * step(0.08, 0.0, y), abs(y - 0.27) - 0.27, 0.01)
        return 0.8 * min(top, leg)
    if kind == HAT:
        crown = ellipsoid(x, y - 0.05, z, 0.26, 0.26 + 0.16 * p[0], 0.26)
        if p[1] > 0.5:
            crown = cylinder(rho - 0.24, abs(y - 0.18) - 0.16, 0.05)
        rim = cylinder(rho - 0.42 - 0.06 * p[2], abs(y - 0.03 - 0.15 * rho * rho) - 0.012, 0.01)
        return 0.75 * max(smin(crown, rim, 0.06), -y)
    if kind == CONE:
        r = 0.28 * (1.0 - y / 0.95)
        d = cylinder((rho - r) * 0.95, abs(y - 0.43) - 0.43, 0.02)
        return 0.85 * min(d, box(x, y - 0.02, z, 0.36, 0.02, 0.36, 0.015))
    if kind == BICYCLE:
        wx = abs(x) - 0.38
        w = math.sqrt(wx * wx + (y - 0.24) ** 2)
        ring = math.sqrt((w - 0.22) ** 2 + z * z) - 0.022
        a = capsule(x, y, z, -0.38, 0.24, 0.0, -0.10, 0.24, 0.0, 0.013)
        a = min(a, capsule(x, y, z, -0.10, 0.24, 0.0, 0.26, 0.52, 0.0, 0.015))
        a = min(a, capsule(x, y, z, -0.10, 0.24, 0.0, -0.20, 0.58, 0.0, 0.015))
        a = min(a, capsule(x, y, z, -0.18, 0.50, 0.0, 0.25, 0.54, 0.0, 0.015))
        a = min(a, capsule(x, y, z, -0.38, 0.24, 0.0, -0.18, 0.50, 0.0, 0.012))
        a = min(a, capsule(x, y, z, 0.38, 0.24, 0.0, 0.24, 0.64, 0.0, 0.015))
        a = min(a, capsule(x, y, abs(z), 0.24, 0.64, 0.0, 0.20, 0.66, 0.12, 0.013))
        return 0.8 * min(min(ring, a), ellipsoid(x + 0.21, y - 0.60, z, 0.09, 0.025, 0.05))
    if kind == CANDLE:
        h = 0.35 + 0.3 * p[0]
        wax = cylinder(rho - 0.08 - 0.10 * p[1], abs(y - 0.5 * h) - 0.5 * h, 0.01)
        flame = ellipsoid(x, y - h - 0.10, z, 0.032, 0.075, 0.032)
        return 0.85 * min(wax, flame)
    if kind == DRAWERS:
        h = 0.5 + 0.45 * p[0]
        d = box(x, y - 0.5 * h, z, 0.24 + 0.2 * p[1], 0.5 * h, 0.24, 0.01)
        n = 2 + int(3 * p[2])
        row = y / h * n
        seam = abs(row - math.floor(row + 0.5)) * h / n
        return d + 0.012 * step(0.012, 0.006, seam) * step(0.2, 0.23, z)
    # cake in a paper cup
    paper = cylinder(
        (rho - 0.20 - 0.14 * y / 0.3) * 0.9 + 0.012 * math.sin(24 * math.atan2(z, x)),
        abs(y - 0.15) - 0.15,
        0.01,
    )
    turn = math.atan2(z, x)
    cream = rho - (0.34 - 0.75 * (y - 0.30)) + 0.03 * math.sin(2.0 * turn + 30.0 * y)
    cream = max(max(cream * 0.7, 0.28 - y), y - 0.68)
    return 0.7 * min(paper, cream)


@jit
def distance(kind, p, x, y, z):
    """Signed distance to body `kind`; negative inside."""
    return _body(kind, p, x, y, z)
