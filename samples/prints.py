"""Prints on a surface: stripes, dots, checks and others, as a share of a second colour."""

from __future__ import annotations

import math

from .shapes.primitives import jit, step

PLAIN, STRIPES, BANDS, DOTS, CHECKS, ZIGZAG, SPECKLES, CLOUDS, HEARTS, DIAGONAL = range(10)
NAMES = ("", "stripes", "stripes", "dots", "checks", "zigzags", "speckles", "", "hearts", "stripes")
"""The word of each print in a caption; '' is not named."""


@jit
def _hash(i, j, k):
    v = math.sin(i * 127.1 + j * 311.7 + k * 74.7) * 43758.5453
    return v - math.floor(v)


@jit
def _noise3(x, y, z):
    """Value noise in 0..1 on a unit lattice."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    a = _hash(i, j, k) * (1 - u) + _hash(i + 1, j, k) * u
    b = _hash(i, j + 1, k) * (1 - u) + _hash(i + 1, j + 1, k) * u
    c = _hash(i, j, k + 1) * (1 - u) + _hash(i + 1, j, k + 1) * u
    d = _hash(i, j + 1, k + 1) * (1 - u) + _hash(i + 1, j + 1, k + 1) * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@jit
def cover(kind, scale, x, y, z, nx, nz):
    """0..1: how much of the second colour shows at a surface point with local normal (nx, nz)."""
    k = int(kind)
    # the surface unrolled: round the body, or flat where it faces one way
    u = x if abs(nz) > abs(nx) else z
    f = scale
    if k == STRIPES:
        return step(-0.15, 0.15, math.sin(f * 6.2832 * u))
    if k == BANDS:
        return step(-0.15, 0.15, math.sin(f * 6.2832 * y))
    if k == DIAGONAL:
        return step(-0.15, 0.15, math.sin(f * 4.4 * (u + y)))
    if k == DOTS:
        row = math.floor(y * f)
        a = u * f + 0.5 * (row - 2.0 * math.floor(0.5 * row))
        du, dv = a - math.floor(a) - 0.5, y * f - row - 0.5
        return step(0.32, 0.26, math.sqrt(du * du + dv * dv))
    if k == CHECKS:
        a = math.floor(u * f) + math.floor(y * f)
        return a - 2.0 * math.floor(0.5 * a)
    if k == ZIGZAG:
        a = u * f - math.floor(u * f)
        return step(-0.15, 0.15, math.sin(6.2832 * (y * f + abs(a - 0.5))))
    if k == SPECKLES:
        return step(0.70, 0.74, _noise3(x * f * 7, y * f * 7, z * f * 7))
    if k == CLOUDS:
        a = 0.6 * _noise3(x * f, y * f, z * f) + 0.4 * _noise3(2.3 * x * f, 2.3 * y * f, z * f)
        return step(0.3, 0.7, a)
    if k == HEARTS:
        row = math.floor(y * f)
        a = u * f + 0.5 * (row - 2.0 * math.floor(0.5 * row))
        hx, hy = 2.6 * (a - math.floor(a) - 0.5), 2.6 * (y * f - row - 0.5)
        hy = hy - 0.75 * math.sqrt(abs(hx)) * 0.6 + 0.1
        return step(0.62, 0.52, hx * hx + hy * hy)
    return 0.0
