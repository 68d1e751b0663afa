"""Signed distances of simple solids, compiled by numba.

Formulas: Inigo Quilez, "distance functions" (iquilezles.org/articles/distfunctions).
Lengths are in units of the product's own frame: y up, the base at y = 0.
"""

from __future__ import annotations

import math

import numba as nb

jit = nb.njit(fastmath=True, cache=True, error_model="numpy")


@jit
def box(x, y, z, bx, by, bz, r):
    """Box of half sizes (bx, by, bz), edges rounded by r."""
    qx, qy, qz = abs(x) - bx + r, abs(y) - by + r, abs(z) - bz + r
    ox, oy, oz = max(qx, 0.0), max(qy, 0.0), max(qz, 0.0)
    return math.sqrt(ox * ox + oy * oy + oz * oz) + min(max(qx, max(qy, qz)), 0.0) - r


@jit
def cylinder(radial, axial, r):
    """Cylinder from (rho - radius, |axis| - half height), edges rounded by r."""
    a, b = radial + r, axial + r
    oa, ob = max(a, 0.0), max(b, 0.0)
    return math.sqrt(oa * oa + ob * ob) + min(max(a, b), 0.0) - r


@jit
def capsule(x, y, z, ax, ay, az, bx, by, bz, r):
    """Segment a to b, thickened by r."""
    px, py, pz = x - ax, y - ay, z - az
    dx, dy, dz = bx - ax, by - ay, bz - az
    t = (px * dx + py * dy + pz * dz) / (dx * dx + dy * dy + dz * dz)
    t = min(1.0, max(0.0, t))
    px, py, pz = px - t * dx, py - t * dy, pz - t * dz
    return math.sqrt(px * px + py * py + pz * pz) - r


@jit
def ellipsoid(x, y, z, rx, ry, rz):
    """Ellipsoid, bound by first-order approximation."""
    k0 = math.sqrt((x / rx) ** 2 + (y / ry) ** 2 + (z / rz) ** 2)
    k1 = math.sqrt((x / rx**2) ** 2 + (y / ry**2) ** 2 + (z / rz**2) ** 2)
    return k0 * (k0 - 1.0) / max(k1, 1e-9)


@jit
def smin(a, b, k):
    """Smooth minimum, polynomial, blended over k."""
    h = max(k - abs(a - b), 0.0) / k
    return min(a, b) - h * h * k * 0.25


@jit
def smax(a, b, k):
    h = max(k - abs(a - b), 0.0) / k
    return max(a, b) + h * h * k * 0.25


@jit
def step(lo, hi, x):
    """Hermite smoothstep; lo may exceed hi."""
    t = min(1.0, max(0.0, (x - lo) / (hi - lo)))
    return t * t * (3.0 - 2.0 * t)


@jit
def uneven2(x, z, h, ra, rb):
    """2-D distance to two circles and their hull: radius ra at x = 0, rb at x = h."""
    z = abs(z)
    b = (ra - rb) / h
    a = math.sqrt(max(1e-6, 1.0 - b * b))
    k = -b * z + a * x
    if k < 0.0:
        return math.sqrt(x * x + z * z) - ra
    if k > a * h:
        return math.sqrt((x - h) ** 2 + z * z) - rb
    return a * z + b * x - ra


@jit
def box2(x, y, bx, by, r):
    qx, qy = abs(x) - bx + r, abs(y) - by + r
    ox, oy = max(qx, 0.0), max(qy, 0.0)
    return math.sqrt(ox * ox + oy * oy) + min(max(qx, qy), 0.0) - r


@jit
def arch2(x, y, half, straight, r):
    """2-D distance to the middle line of an inverted U: legs `half` apart, `straight` high."""
    ax = abs(x)
    if y > straight:
        return abs(math.sqrt(ax * ax + (y - straight) ** 2) - half) - r
    qy = max(-y, 0.0)
    return math.sqrt((ax - half) ** 2 + qy * qy) - r
