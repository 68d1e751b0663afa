"""More places than `backdrops` has, and richer ones, as colours of a ray. Same interface."""

from __future__ import annotations

import math

from .shapes.primitives import jit, step

(STUDIO, WOOD, BOARD, ROAD, GRASS, ROOM, MARBLE, BEACH, NIGHT, RANDOM) = range(10, 20)
GROUND, WALL, EXTRA = 1, 4, 7
FAR = 12.0


@jit
def _hash(i, j):
    v = math.sin(i * 127.1 + j * 311.7) * 43758.5453
    return v - math.floor(v)


@jit
def _noise(x, y):
    i, j = math.floor(x), math.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    a, b = _hash(i, j), _hash(i + 1, j)
    c, d = _hash(i, j + 1), _hash(i + 1, j + 1)
    return a + (b - a) * u + (c - a) * v + (a - b - c + d) * u * v


@jit
def _fbm(x, y):
    return (
        0.5 * _noise(x, y)
        + 0.25 * _noise(2.03 * x + 7.0, 2.03 * y)
        + 0.15 * _noise(4.1 * x, 4.1 * y + 3.0)
        + 0.10 * _noise(8.3 * x, 8.3 * y)
    )


@jit
def _wood(x, z, e0, e1):
    """Tone of planks along x, about 1."""
    wide = 2.0 + 3.0 * e0
    plank = math.floor(z * wide + e1)
    seam = z * wide + e1 - plank
    shift = 17.0 * _hash(plank, 3.0)
    tone = 0.86 + 0.28 * _hash(plank, 8.0 + math.floor(50 * e1))
    rings = math.sin(60.0 * (_noise(x * 0.7 + shift, z * 5.0 + shift) + 0.12 * z * wide))
    fine = _noise(x * 3.0 + shift, z * 90.0)
    tone *= 0.93 + 0.05 * rings + 0.10 * fine
    if seam < 0.02:
        tone *= 0.6
    return tone


@jit
def _spots(sx, sy, e):
    """Light of blurred lamps in the back, 0 to about 0.4."""
    glow = 0.0
    for k in range(5):
        cx, cy = 2.4 * e[4 + k] - 1.2, -1.0 + 0.95 * e[9 + k % 6]
        rad = 0.06 + 0.16 * e[(6 + 3 * k) % 16]
        d = math.sqrt((sx - cx) ** 2 + (sy - cy) ** 2)
        glow += (0.08 + 0.14 * e[(k + 2) % 16]) * step(rad, rad - 0.05, d)
    return glow


@jit
def _houses(wx, wy, e3, e4, night):
    """(r, g, b, there) of a row of houses at a place of their plane."""
    k = math.floor(wx / 3.0 + 5.0 * e3)
    tall = 1.6 + 4.2 * _hash(k, 11.0 + math.floor(40 * e4))
    if wy > tall:
        return 0.0, 0.0, 0.0, 0.0
    h = _hash(k, 3.0)
    warm = _hash(k, 5.0)
    r, g, b = 0.30 + 0.30 * h, 0.26 + 0.22 * h + 0.06 * warm, 0.20 + 0.28 * h * warm
    fx = wx / 0.75 - math.floor(wx / 0.75)
    fy = wy / 0.9 - math.floor(wy / 0.9)
    if night > 0.5:
        r, g, b = r * 0.10, g * 0.10, b * 0.14
    if 0.25 < fx < 0.75 and 0.3 < fy < 0.82:
        lit = _hash(math.floor(wx / 0.75), math.floor(wy / 0.9) + 40.0)
        if night > 0.5:
            if lit > 0.55:
                return 0.75, 0.55 + 0.1 * lit, 0.25, 1.0
            return r * 0.6, g * 0.6, b * 0.7, 1.0
        return 0.16 + 0.2 * lit, 0.20 + 0.22 * lit, 0.26 + 0.25 * lit, 1.0
    return r, g, b, 1.0


@jit
def _sky(dy, sx, e0, e1):
    up = min(1.0, max(0.0, dy * 2.6 + 0.15))
    cloud = step(0.5, 0.75, _fbm(3.0 * sx + 20.0 * e0, 9.0 * dy + 20.0 * e1)) * e1
    r, g, b = 0.72 - 0.50 * up, 0.80 - 0.38 * up, 0.90 - 0.16 * up
    return r + (0.9 - r) * 0.7 * cloud, g + (0.9 - g) * 0.7 * cloud, b + (0.92 - b) * 0.7 * cloud


@jit
def backdrop(scene, ox, oy, oz, dx, dy, dz, sx, sy):
    """What a ray that meets no product sees: (r, g, b, t, lit); see `backdrops.backdrop`."""
    kind = int(scene[0])
    e = scene[EXTRA:]
    gr, gg, gb = scene[GROUND], scene[GROUND + 1], scene[GROUND + 2]
    wr, wg, wb = scene[WALL], scene[WALL + 1], scene[WALL + 2]
    t_ground = -oy / dy if dy < -1e-5 else 1e9
    x, z = ox + t_ground * dx, oz + t_ground * dz
    back = -1.2 - 1.6 * e[15]
    if kind == STUDIO:
        spot = 1.0 - 0.20 * e[4] * e[4] * (
            (sx - (e[0] - 0.5)) ** 2 + (sy - 0.6 * (e[1] - 0.5)) ** 2
        )
        near = 1.0
        if e[2] > 0.5:  # a corner between floor and wall, rounded
            deep = -z / 2.0 if t_ground < 1e8 else 9.0
            near = 1.0 - 0.10 * e[3] * step(0.2, 1.6, deep)
        return (
            wr * spot * near,
            wg * spot * near,
            wb * spot * near,
            min(t_ground, FAR),
            (1.0 if t_ground < FAR else 0.0),
        )
    if kind in (WOOD, MARBLE):
        if t_ground < FAR and z > back:
            if kind == WOOD:
                tone = _wood(x, z, e[0], e[1])
                return gr * tone, gg * tone, gb * tone, t_ground, 1.0
            warp = _fbm(1.6 * x + 30 * e[0], 1.6 * z + 30 * e[1])
            vein = abs(math.sin(4.0 * (x * (0.4 + e[2]) + z) + 9.0 * warp))
            dark = 0.30 * step(0.16, 0.0, vein) * warp + 0.05 * warp
            return gr - dark * 0.8, gg - dark * 0.78, gb - dark * 0.72, t_ground, 1.0
        up = min(1.0, max(0.0, 0.5 - 0.5 * sy))
        tone = 0.72 + 0.32 * up
        glow = _spots(sx, sy, e) if e[3] > 0.35 else 0.0
        side = 1.0 - 0.25 * e[2] * (sx + 1.0) * 0.5
        return (
            wr * tone * side + glow,
            wg * tone * side + 0.92 * glow,
            wb * tone * side + 0.75 * glow,
            FAR,
            0.0,
        )
    if kind == BOARD:
        edge = 0.62
        t_wall = (-0.80 - oz) / dz if dz < -1e-5 else 1e9
        if t_ground < t_wall and z < edge:
            tone = _wood(x, z * 0.6, e[0], e[6]) if e[7] > 0.4 else 0.97
            return gr * tone, gg * tone, gb * tone, t_ground, 1.0
        t_edge = (edge - oz) / dz if dz < -1e-5 else 1e9
        if t_ground < 1e8 and z >= edge:
            y = oy + t_edge * dy
            if y > -0.10:
                return gr * 0.7, gg * 0.7, gb * 0.7, t_edge, 0.0
            return wr * 0.30, wg * 0.30, wb * 0.30, t_edge + 0.5, 0.0
        wx, wy = ox + t_wall * dx, oy + t_wall * dy
        side = 0.95 + 0.3 * e[1]
        if (wx > side and e[2] > 0.3) or (wx < -side and e[3] > 0.3):
            k = math.floor(wx / 0.17)
            tall = 0.70 + 0.40 * _hash(k, 7.0 + math.floor(20 * e[4]))
            if wy < tall:
                h, s = _hash(k, 1.0 + math.floor(20 * e[5])), _hash(k, 5.0)
                tone = 0.45 + 0.35 * _hash(k, 2.0)
                rim = abs(wx / 0.17 - k - 0.5)
                tone *= 1.0 - 1.2 * rim * rim
                if 0.70 < wy / tall < 0.80 and rim < 0.36:
                    tone *= 1.6
                return (
                    tone * (0.15 + 0.65 * h),
                    tone * (0.2 + 0.4 * s),
                    tone * (0.7 - 0.5 * h),
                    t_wall,
                    0.0,
                )
        if wy > 1.28:
            return gr * 0.55, gg * 0.55, gb * 0.55, t_wall, 0.0  # the board above
        fade = (0.80 + 0.20 * step(0.0, 1.0, wy)) * (1.0 - 0.35 * step(1.0, 1.3, wy))
        return wr * fade, wg * fade, wb * fade, t_wall, 0.0
    if kind == ROOM:
        t_wall = (back * 1.3 - oz) / dz if dz < -1e-5 else 1e9
        if t_ground < t_wall:
            if e[0] > 0.45:
                tone = _wood(z * 1.0, x, 0.3 * e[1], e[6])
            else:
                tone = 0.90 + 0.20 * _noise(60 * x, 60 * z) * _noise(9 * x, 9 * z + 5)
            return gr * tone, gg * tone, gb * tone, t_ground, 1.0
        wx, wy = ox + t_wall * dx, oy + t_wall * dy
        if wy < 0.14:
            return 0.70, 0.69, 0.66, t_wall, 0.0
        fx, fy = wx - 2.4 * (e[2] - 0.5), wy - 1.15
        bw, bh = 0.35 + 0.3 * e[3], 0.30 + 0.25 * e[4]
        if abs(fx) < bw and abs(fy) < bh and e[5] > 0.35:
            if abs(fx) > bw - 0.05 or abs(fy) > bh - 0.05:
                return 0.12 + 0.5 * e[8], 0.10 + 0.45 * e[8], 0.08 + 0.40 * e[8], t_wall, 0.0
            if e[5] > 0.7:  # window
                bar = abs(fx) < 0.02 or abs(fy) < 0.02
                v = 0.75 if bar else 0.95
                return v * 0.95, v, v * 1.04, t_wall, 0.0
            n = _fbm(3.0 * fx + 20 * e[9], 3.0 * fy)
            return (
                0.2 + 0.6 * n * e[10],
                0.25 + 0.5 * n * e[11],
                0.3 + 0.5 * n * (1 - e[10]),
                t_wall,
                0.0,
            )
        tone = 0.86 + 0.10 * step(-2.0, 2.0, wx * (1.0 if e[12] > 0.5 else -1.0))
        if e[13] > 0.75:
            tone *= 1.0 - 0.08 * step(-0.2, 0.2, math.sin(20.0 * wx))
        return wr * tone, wg * tone, wb * tone, t_wall, 0.0
    if kind == GRASS:
        if t_ground < FAR * 2.5:
            blades = _noise(30 * x, 30 * z) * 0.6 + 0.4 * _noise(75 * x, 40 * z)
            near = math.exp(-t_ground / 9.0)
            tone = 0.80 + (0.75 * blades - 0.35) * near + 0.25 * (_noise(1.1 * x, 1.1 * z) - 0.5)
            dry = 0.18 * _noise(2.0 * x + 9, 2.0 * z)
            return tone * (gr + dry * 0.5), tone * (gg + dry * 0.2), tone * gb, t_ground, 1.0
        line = 0.06 + 0.10 * _fbm(2.5 * sx + 9 * e[2], 4.0)
        leaf = 0.7 + 0.6 * _fbm(14.0 * sx, 40.0 * dy)
        if dy < line and e[3] > 0.25:
            return 0.10 * leaf, 0.22 * leaf, 0.07 * leaf, FAR * 2.0, 0.0
        r, g, b = _sky(dy, sx, e[0], e[1])
        return r, g, b, FAR * 2.5, 0.0
    if kind == BEACH:
        if t_ground < FAR * 3.0:
            shore = -2.6 - 2.0 * e[4] + 0.25 * math.sin(1.3 * x + 6 * e[5])
            if z > shore:
                tone = 0.90 + 0.14 * _noise(40 * x, 40 * z) + 0.16 * (_fbm(1.7 * x, 2.6 * z) - 0.5)
                wet = 1.0 - 0.35 * step(shore + 0.8, shore, z)
                return gr * tone * wet, gg * tone * wet, gb * tone * wet, t_ground, 1.0
            if z > shore - 0.22:
                return 0.9, 0.92, 0.93, t_ground, 0.0
            wave = _noise(2.0 * x, 7.0 * z)
            deep = step(shore, shore - 9.0, z)
            return (
                (0.16 - 0.10 * deep) + 0.06 * wave,
                (0.44 - 0.20 * deep) + 0.10 * wave,
                (0.52 - 0.08 * deep) + 0.10 * wave,
                t_ground,
                0.0,
            )
        r, g, b = _sky(dy, sx, e[0], e[1])
        return r, g, b, FAR * 3.0, 0.0
    if kind in (ROAD, NIGHT):
        night = 1.0 if kind == NIGHT else 0.0
        dim = 0.16 if kind == NIGHT else 1.0
        curb = -1.7 - e[0]
        if t_ground < FAR * 1.8:
            if z > curb:
                tone = 0.84 + 0.30 * _noise(60 * x, 60 * z) * (
                    0.4 + 0.6 * math.exp(-t_ground / 5.0)
                )
                tone *= 0.92 + 0.16 * _fbm(1.1 * x, 1.1 * z + 50.0 * e[2])
                line = abs(z - curb - 0.45)
                if line < 0.05 and (e[6] > 0.5 or math.sin(2.5 * x + 6 * e[7]) > -0.1):
                    return 0.66 * dim, 0.65 * dim, 0.60 * dim, t_ground, 1.0
                return gr * tone * dim, gg * tone * dim, gb * tone * dim, t_ground, 1.0
            slab = x / 0.9 - math.floor(x / 0.9)
            tone = 0.85 if slab < 0.03 else 1.0
            if z > curb - 0.12:
                tone = 0.75
            return 0.42 * tone * dim, 0.41 * tone * dim, 0.39 * tone * dim, t_ground, 1.0
        t_wall = (-9.0 - 8.0 * e[8] - oz) / dz if dz < -1e-5 else 1e9
        wx, wy = ox + t_wall * dx, oy + t_wall * dy
        crown = _noise(0.55 * wx + 30 * e[9], 3.0)
        if kind == ROAD and e[10] > 0.4 and crown > 0.62:
            leaf = _fbm(3.0 * wx, 3.0 * wy)
            if wy > 0.8 and wy < 1.2 + 3.0 * (crown - 0.62) * 4.0 + leaf:
                tone = 0.5 + 0.8 * leaf
                return 0.14 * tone, 0.26 * tone, 0.08 * tone, FAR, 0.0
        r, g, b, there = _houses(wx, wy, e[3], e[4], night)
        if there > 0.5:
            mist = 0.25 * (1.0 - night)
            return (
                r * (1 - mist) + 0.7 * mist,
                g * (1 - mist) + 0.76 * mist,
                b * (1 - mist) + 0.82 * mist,
                FAR,
                0.0,
            )
        if kind == NIGHT:
            up = min(1.0, max(0.0, dy * 2.0))
            return 0.030 - 0.02 * up, 0.035 - 0.022 * up, 0.075 - 0.04 * up, FAR, 0.0
        r, g, b = _sky(dy, sx, e[0], e[1])
        return r, g, b, FAR, 0.0
    # nothing in particular: two random textures, floor and wall
    on_floor = t_ground < FAR and z > back
    u, v = (x, z) if on_floor else (1.3 * sx + 3.0, 1.3 * sy)
    f = 1.0 + 9.0 * e[0] * e[0]
    which = e[1] if on_floor else e[2]
    if which < 0.25:
        mix = 0.5 + 0.5 * math.sin(f * (u * math.cos(6.28 * e[3]) + v * math.sin(6.28 * e[3])))
    elif which < 0.45:
        mix = _fbm(f * u, f * v)
    elif which < 0.60:
        mix = (math.floor(f * u) + math.floor(f * v)) % 2.0
    elif which < 0.75:
        mix = _hash(math.floor(3 * f * u), math.floor(3 * f * v))
    elif which < 0.88:
        du, dv = f * u - math.floor(f * u) - 0.5, f * v - math.floor(f * v) - 0.5
        mix = step(0.35, 0.3, math.sqrt(du * du + dv * dv))
    else:
        mix = 0.3 * (u + v) - math.floor(0.3 * (u + v))
    r, g, b = gr + (e[4] - gr) * mix, gg + (e[5] - gg) * mix, gb + (e[6] - gb) * mix
    if not on_floor:
        r, g, b = wr + (e[7] - wr) * mix, wg + (e[8] - wg) * mix, wb + (e[9] - wb) * mix
    return r, g, b, (t_ground if on_floor else FAR), (1.0 if on_floor else 0.0)
