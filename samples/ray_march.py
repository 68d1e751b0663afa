"""The ray-marcher: products in a place, lit by key and fill, to colour, instance and depth.

Sphere tracing inside each product's bounding box (Hart 1996); soft shadows and ambient
occlusion from the distance field (Quilez, iquilezles.org/articles/rmshadows); Blinn-Phong
highlights and a soft-box reflection. One picture a call, compiled by numba.
"""

from __future__ import annotations

import math

import numpy as np

from . import places, prints
from .backdrops import FAR, backdrop, noise
from .products import distance, part
from .shapes.primitives import jit, step

# layout of one product's row in `things`
(KIND, PX, PZ, YAW, SCALE, INSTANCE, ROUGH, SPEC, METAL, BUMP) = range(10)
# more for `varied`: print, its scale, its colour, and light of the thing's own
(PRINT, PRINT_SCALE, PRINT_R, PRINT_G, PRINT_B, GLOW) = range(10, 16)
THING_SIZE = 16


@jit
def _to_local(th, x, y, z):
    c, s = math.cos(th[YAW]), math.sin(th[YAW])
    x, z = x - th[PX], z - th[PZ]
    k = 1.0 / th[SCALE]
    return (c * x - s * z) * k, y * k, (s * x + c * z) * k


@jit
def _turn(th, x, y, z):
    c, s = math.cos(th[YAW]), math.sin(th[YAW])
    k = 1.0 / th[SCALE]
    return (c * x - s * z) * k, y * k, (s * x + c * z) * k


@jit
def _slab(b, ox, oy, oz, dx, dy, dz, grow):
    """Entry and exit of a ray in a product's bounds; entry > exit: missed."""
    near, far = 0.0, 1e9
    for k in range(3):
        o = ox if k == 0 else (oy if k == 1 else oz)
        d = dx if k == 0 else (dy if k == 1 else dz)
        lo = (-b[k] if k != 1 else 0.0) - grow
        hi = b[k] + grow
        if abs(d) < 1e-9:
            if o < lo or o > hi:
                return 1.0, 0.0
        else:
            a, c = (lo - o) / d, (hi - o) / d
            near, far = max(near, min(a, c)), min(far, max(a, c))
    return near, far


@jit
def _hit(th, p, b, ox, oy, oz, dx, dy, dz, limit):
    """Distance along a world ray to a product's surface, or 1e9."""
    lx, ly, lz = _to_local(th, ox, oy, oz)
    ex, ey, ez = _turn(th, dx, dy, dz)
    near, far = _slab(b, lx, ly, lz, ex, ey, ez, 0.02)
    if near > far or near > limit:
        return 1e9
    speed = th[SCALE]  # local distance to ray parameter
    t = near + 1e-4
    kind = int(th[KIND])
    for _ in range(72):
        d = distance(kind, p, lx + t * ex, ly + t * ey, lz + t * ez) * speed
        if d < 0.0012:
            return t
        t += d
        if t > far:
            return 1e9
    return t if d < 0.012 else 1e9


@jit
def _shadow(things, params, bounds, x, y, z, lx, ly, lz, soft):
    """Share of the key light that reaches a point, 0..1."""
    light = 1.0
    for i in range(things.shape[0]):
        th = things[i]
        ox, oy, oz = _to_local(th, x, y, z)
        ex, ey, ez = _turn(th, lx, ly, lz)
        near, far = _slab(bounds[int(th[KIND])], ox, oy, oz, ex, ey, ez, 0.06)
        if near > far:
            continue
        t = max(near, 0.02)
        kind = int(th[KIND])
        for _ in range(28):
            d = distance(kind, params[i], ox + t * ex, oy + t * ey, oz + t * ez) * th[SCALE]
            light = min(light, 0.5 + 0.5 * soft * d / t)
            if light < 0.0:
                return 0.0
            t += min(0.12, max(0.018, abs(d)))
            if t > far:
                break
    light = max(light, 0.0)
    return light * light * (3.0 - 2.0 * light)


@jit
def _occlusion(things, params, bounds, x, y, z, nx, ny, nz):
    """Ambient light that reaches a point, 0..1."""
    dark = 0.0
    weight = 1.0
    for k in range(4):
        h = 0.03 + 0.075 * k
        qx, qy, qz = x + h * nx, y + h * ny, z + h * nz
        d = min(h, qy) if ny < 0.999 else h
        for i in range(things.shape[0]):
            th = things[i]
            lx, ly, lz = _to_local(th, qx, qy, qz)
            b = bounds[int(th[KIND])]
            if abs(lx) < b[0] + 0.3 and abs(lz) < b[2] + 0.3 and ly < b[1] + 0.3:
                d = min(d, distance(int(th[KIND]), params[i], lx, ly, lz) * th[SCALE])
        dark += weight * (h - d)
        weight *= 0.72
    return min(1.0, max(0.0, 1.0 - 1.9 * dark))


@jit
def _shade(things, params, bounds, paints, i, light, x, y, z, dx, dy, dz):
    """Linear colour of product i at a surface point."""
    th = things[i]
    kind = int(th[KIND])
    lx, ly, lz = _to_local(th, x, y, z)
    h = 0.004
    p = params[i]
    a = distance(kind, p, lx + h, ly - h, lz - h)
    b = distance(kind, p, lx - h, ly - h, lz + h)
    c = distance(kind, p, lx - h, ly + h, lz - h)
    d = distance(kind, p, lx + h, ly + h, lz + h)
    nx, ny, nz = a - b - c + d, -a - b + c + d, -a + b - c + d
    lnx, lnz = nx, nz
    which = part(kind, p, lx, ly, lz)
    own = which == 0
    if own and th[BUMP] > 0.0:
        f = 46.0
        nx += th[BUMP] * 0.016 * (noise(lx * f + 5.0, ly * f + lz * f) - 0.5)
        ny += th[BUMP] * 0.016 * (noise(lx * f + 50.0, ly * f - lz * f) - 0.5)
    cs, sn = math.cos(th[YAW]), math.sin(th[YAW])
    nx, nz = cs * nx + sn * nz, -sn * nx + cs * nz
    k = 1.0 / max(1e-9, math.sqrt(nx * nx + ny * ny + nz * nz))
    nx, ny, nz = nx * k, ny * k, nz * k
    kx, ky, kz = light[0], light[1], light[2]
    facing = max(0.0, nx * kx + ny * ky + nz * kz)
    e = 0.012
    shadow = 0.0
    if facing > 0.0:
        shadow = _shadow(
            things, params, bounds, x + e * nx, y + e * ny, z + e * nz, kx, ky, kz, 14.0
        )
    ao = _occlusion(things, params, bounds, x, y, z, nx, ny, nz)
    fill = max(0.0, -0.55 * nx * kx + 0.25 * ny + 0.6 * nz)
    key = light[3] * facing * shadow
    lum = key + ao * (light[4] * (0.62 + 0.38 * ny) + light[5] * fill)
    q = paints[i, which]
    qr, qg, qb = q[0], q[1], q[2]
    if own and th[PRINT] > 0.0:
        k = prints.cover(th[PRINT], th[PRINT_SCALE], lx, ly, lz, lnx, lnz)
        qr, qg, qb = (
            qr + (th[PRINT_R] - qr) * k,
            qg + (th[PRINT_G] - qg) * k,
            qb + (th[PRINT_B] - qb) * k,
        )
    vx, vy, vz = -dx, -dy, -dz
    hx, hy, hz = kx + vx, ky + vy, kz + vz
    k = 1.0 / max(1e-9, math.sqrt(hx * hx + hy * hy + hz * hz))
    half = max(0.0, (nx * hx + ny * hy + nz * hz) * k)
    spec = th[SPEC] if own else (q[3] if q.shape[0] > 3 else 0.25)
    shine = 6.0 + 90.0 * (1.0 - (th[ROUGH] if own or q.shape[0] < 4 else 1.0 - q[3]))
    gloss = spec * (half**shine) * shadow * light[3]
    vn = nx * vx + ny * vy + nz * vz
    rx, ry = 2 * vn * nx - vx, 2 * vn * ny - vy
    fresnel = 0.05 + 0.95 * (1.0 - max(0.0, vn)) ** 5
    box = step(0.35, 0.75, ry) * step(0.75, 0.2, abs(rx - 0.5 * kx))
    env = 0.30 + 0.28 * ry + 0.75 * box
    metal = th[METAL] if own else 0.0
    mirror = (spec * fresnel * 0.55 + 0.10 * spec * box) * env * ao
    if light.shape[0] < 16:
        dull = lum * (1 - 0.45 * metal) + metal * 0.62 * env
        return qr * dull + gloss + mirror, qg * dull + gloss + mirror, qb * dull + gloss + mirror
    # coloured light, and the ground's colour from below
    rest = lum - key
    up = ao * 0.22 * max(0.0, 0.4 - ny) * step(0.9, 0.0, y)
    k = 1 - 0.45 * metal
    m = metal * 0.62 * env + th[GLOW] * (1.0 if own else 0.0)
    return (
        qr * (k * (key * light[7] + rest * light[10] + up * light[13]) + m)
        + (gloss + mirror) * light[7],
        qg * (k * (key * light[8] + rest * light[11] + up * light[14]) + m)
        + (gloss + mirror) * light[8],
        qb * (k * (key * light[9] + rest * light[12] + up * light[15]) + m)
        + (gloss + mirror) * light[9],
    )


@jit
def _trace(things, params, bounds, paints, scene, light, cam, sx, sy):
    """One ray through picture place (sx, sy): (r, g, b, depth, thing index or -1)."""
    ox, oy, oz = cam[0], cam[1], cam[2]
    f = cam[12]
    dx = cam[3] * sx * f - cam[6] * sy * f + cam[9]
    dy = cam[4] * sx * f - cam[7] * sy * f + cam[10]
    dz = cam[5] * sx * f - cam[8] * sy * f + cam[11]
    k = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
    dx, dy, dz = dx * k, dy * k, dz * k
    best, who = 1e9, -1
    for i in range(things.shape[0]):
        t = _hit(
            things[i],
            params[i],
            bounds[int(things[i, KIND])],
            ox,
            oy,
            oz,
            dx,
            dy,
            dz,
            best,
        )
        if t < best:
            best, who = t, i
    if scene[0] >= places.STUDIO:
        r, g, b, t, lit = places.backdrop(scene, ox, oy, oz, dx, dy, dz, sx, sy)
    else:
        r, g, b, t, lit = backdrop(scene, ox, oy, oz, dx, dy, dz, sx, sy)
    if who >= 0 and best < t + 0.05:
        x, y, z = ox + best * dx, oy + best * dy, oz + best * dz
        r, g, b = _shade(things, params, bounds, paints, who, light, x, y, z, dx, dy, dz)
        return r, g, b, best * k, who
    if lit > 0.0:
        x, z = ox + t * dx, oz + t * dz
        shadow = _shadow(
            things, params, bounds, x, 0.004, z, light[0], light[1], light[2], light[6]
        )
        ao = _occlusion(things, params, bounds, x, 0.0, z, 0.0, 1.0, 0.0)
        if light.shape[0] < 16:
            lum = 0.45 * shadow + 0.25 + 0.30 * ao
            r, g, b = r * lum, g * lum, b * lum
        else:
            key, rest = 0.45 * shadow, 0.25 + 0.30 * ao
            r *= key * light[7] + rest * light[10]
            g *= key * light[8] + rest * light[11]
            b *= key * light[9] + rest * light[12]
    elif light.shape[0] >= 16:
        r, g, b = r * light[10], g * light[11], b * light[12]
    return r, g, b, min(t, 3.0 * FAR if scene[0] >= places.STUDIO else FAR) * k, -1


@jit
def _srgb(v):
    v = min(1.0, max(0.0, v))
    return 12.92 * v if v < 0.0031308 else 1.055 * v ** (1.0 / 2.4) - 0.055


@jit
def draw(things, params, bounds, paints, scene, light, cam, size):
    """Draw a square picture.

    Returns (image float32 (size, size, 3) sRGB 0..1, instance uint8 (size, size), depth float32
    (size, size) along the ray's forward axis). The instance is that of the pixel's centre ray;
    colours average 1, or where neighbours differ 5, rays.
    """
    image = np.zeros((size, size, 3), np.float32)
    instance = np.zeros((size, size), np.uint8)
    depth = np.zeros((size, size), np.float32)
    who = np.full((size, size), -1, np.int32)
    for j in range(size):
        for i in range(size):
            sx, sy = (2 * i + 1.0) / size - 1.0, (2 * j + 1.0) / size - 1.0
            r, g, b, t, w = _trace(things, params, bounds, paints, scene, light, cam, sx, sy)
            image[j, i, 0], image[j, i, 1], image[j, i, 2] = (
                _srgb(r),
                _srgb(g),
                _srgb(b),
            )
            depth[j, i] = t
            who[j, i] = w
            instance[j, i] = int(things[w, INSTANCE]) if w >= 0 else 0
    rough = image.copy()
    for j in range(size):
        for i in range(size):
            differ = 0.0
            for s in range(4):
                jj = min(size - 1, max(0, j + (1 if s == 0 else (-1 if s == 1 else 0))))
                ii = min(size - 1, max(0, i + (1 if s == 2 else (-1 if s == 3 else 0))))
                for c in range(3):
                    differ = max(differ, abs(rough[jj, ii, c] - rough[j, i, c]))
            if differ < 0.055:
                continue
            r, g, b = rough[j, i, 0], rough[j, i, 1], rough[j, i, 2]
            for s in range(4):
                ax = (0.125, 0.375, -0.125, -0.375)[s]
                ay = (-0.375, 0.125, 0.375, -0.125)[s]
                sx = (2 * i + 1.0 + 2 * ax) / size - 1.0
                sy = (2 * j + 1.0 + 2 * ay) / size - 1.0
                p, q, v, _, _ = _trace(things, params, bounds, paints, scene, light, cam, sx, sy)
                r, g, b = r + _srgb(p), g + _srgb(q), b + _srgb(v)
            image[j, i, 0], image[j, i, 1], image[j, i, 2] = r / 5, g / 5, b / 5
    return image, instance, depth
