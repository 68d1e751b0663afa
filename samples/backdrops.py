"""The places a product stands in: sweep, wooden table, shelf, street, as colours of a ray.

`scene` is a flat array: see the constants; all colours are linear RGB, 0 to 1.
"""

from __future__ import annotations

import math

from .shapes.primitives import jit, step

SWEEP, TABLE, SHELF, STREET = range(4)
KIND, GROUND, WALL, EXTRA = 0, 1, 4, 7  # offsets: 1, 3, 3 and 16 random numbers in 0..1
SCENE_SIZE = 23
FAR = 12.0


@jit
def _hash(i, j):
    v = math.sin(i * 127.1 + j * 311.7) * 43758.5453
    return v - math.floor(v)


@jit
def noise(x, y):
    """Value noise in 0..1 on a unit lattice."""
    i, j = math.floor(x), math.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    a, b = _hash(i, j), _hash(i + 1, j)
    c, d = _hash(i, j + 1), _hash(i + 1, j + 1)
    return a + (b - a) * u + (c - a) * v + (a - b - c + d) * u * v


@jit
def backdrop(scene, ox, oy, oz, dx, dy, dz, sx, sy):
    """What a ray that meets no product sees.

    (sx, sy): place in the picture, -1..1. Returns (r, g, b, t, lit): linear colour, distance,
    and whether the products' shadows fall there (1) or not (0).
    """
    kind = int(scene[KIND])
    e = scene[EXTRA:]
    gr, gg, gb = scene[GROUND], scene[GROUND + 1], scene[GROUND + 2]
    wr, wg, wb = scene[WALL], scene[WALL + 1], scene[WALL + 2]
    t_ground = -oy / dy if dy < -1e-5 else 1e9
    x, z = ox + t_ground * dx, oz + t_ground * dz
    if kind == SWEEP:
        spot = 1.0 - 0.16 * (sx - 0.5 * (e[0] - 0.5)) ** 2 - 0.13 * (sy - 0.2) ** 2
        spot -= 0.07 * e[1] * max(0.0, sy)
        lit = 1.0 if t_ground < FAR else 0.0
        t = min(t_ground, FAR)
        return wr * spot, wg * spot, wb * spot, t, lit
    if kind == TABLE:
        if t_ground < FAR and z > -1.5:
            plank = math.floor(z * 2.2 + e[0])
            tone = 0.90 + 0.16 * _hash(plank, 3.0 + math.floor(e[2] * 50))
            grain = noise(x * 2.0 + 9.0 * plank, z * 26.0 + 40.0 * e[3])
            tone *= 0.93 + 0.14 * grain
            seam = z * 2.2 + e[0] - plank
            if seam < 0.025:
                tone *= 0.72
            return gr * tone, gg * tone, gb * tone, t_ground, 1.0
        up = min(1.0, max(0.0, 0.5 - 0.5 * sy))
        r, g, b = wr * (0.75 + 0.3 * up), wg * (0.75 + 0.3 * up), wb * (0.75 + 0.3 * up)
        for k in range(4):
            cx, cy = 2.2 * e[4 + k] - 1.1, -0.95 + 0.9 * e[8 + k]
            rad = 0.14 + 0.14 * e[(6 + 3 * k) % 16]
            d = math.sqrt((sx - cx) ** 2 + (sy - cy) ** 2)
            glow = 0.16 * step(rad, rad - 0.07, d)
            r, g, b = r + glow, g + glow * 0.93, b + glow * 0.8
        return r, g, b, FAR, 0.0
    if kind == SHELF:
        edge = 0.62
        t_wall = (-0.80 - oz) / dz if dz < -1e-5 else 1e9
        if t_ground < t_wall and z < edge:
            tone = 0.96 + 0.05 * noise(x * 1.5, z * 14.0 + 30.0 * e[0])
            return gr * tone, gg * tone, gb * tone, t_ground, 1.0
        t_edge = (edge - oz) / dz if dz < -1e-5 else 1e9
        if t_ground < 1e8 and z >= edge:
            y = oy + t_edge * dy
            if y > -0.10:
                return gr * 0.7, gg * 0.7, gb * 0.7, t_edge, 0.0
            return wr * 0.28, wg * 0.28, wb * 0.28, t_edge + 0.5, 0.0
        wx, wy = ox + t_wall * dx, oy + t_wall * dy
        side = 1.05 + 0.25 * e[1]
        if (wx > side and e[2] > 0.35) or (wx < -side and e[3] > 0.35):
            k = math.floor(wx / 0.22)
            tall = 0.75 + 0.45 * _hash(k, 7.0 + math.floor(20 * e[4]))
            if wy < tall:
                h = _hash(k, 1.0 + math.floor(20 * e[5]))
                tone = 0.55 + 0.25 * _hash(k, 2.0)
                back = abs(wx / 0.22 - k - 0.5) * 0.5
                tone *= 1.0 - back * back
                return (
                    tone * (0.30 + 0.30 * h),
                    tone * (0.34 + 0.16 * _hash(k, 5.0)),
                    tone * (0.52 - 0.26 * h),
                    t_wall,
                    0.0,
                )
        fade = 0.86 + 0.14 * step(0.0, 1.2, wy)
        return wr * fade, wg * fade, wb * fade, t_wall, 0.0
    # street
    if t_ground < FAR * 1.6:
        if z > -1.7 - e[0]:
            tone = 0.93 + 0.14 * noise(x * 9.0 + 30.0 * e[1], z * 9.0)
            tone *= 0.96 + 0.08 * noise(x * 1.3, z * 1.3 + 50.0 * e[2])
            line = abs(z + 1.15 + 0.35 * e[0])
            if line < 0.05:
                return 0.62, 0.62, 0.60, t_ground, 1.0
            return gr * tone, gg * tone, gb * tone, t_ground, 1.0
        return 0.36, 0.355, 0.345, t_ground, 1.0
    t_wall = (-16.0 - oz) / dz if dz < -1e-5 else 1e9
    wx, wy = ox + t_wall * dx, oy + t_wall * dy
    k = math.floor(wx / 3.4 + 5.0 * e[3])
    tall = 1.4 + 3.4 * _hash(k, 11.0 + math.floor(40 * e[4]))
    if wy < tall:
        h = _hash(k, 3.0 + math.floor(40 * e[5]))
        r, g, b = 0.42 + 0.14 * h, 0.34 + 0.16 * h, 0.30 + 0.20 * h
        fx = wx / 0.9 - math.floor(wx / 0.9)
        fy = wy / 0.95 - math.floor(wy / 0.95)
        if 0.25 < fx < 0.75 and 0.3 < fy < 0.8:
            r, g, b = r * 0.72, g * 0.76, b * 0.86
        return (
            0.35 * 0.66 + 0.65 * r,
            0.35 * 0.72 + 0.65 * g,
            0.35 * 0.8 + 0.65 * b,
            FAR,
            0.0,
        )
    up = min(1.0, max(0.0, dy * 2.4 + 0.2))
    return 0.80 - 0.42 * up, 0.86 - 0.28 * up, 0.92 - 0.10 * up, FAR, 0.0
