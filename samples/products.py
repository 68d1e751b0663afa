"""Shapes of the eight products and of the things that are none, as signed distances.

Each shape has `distance(kind, p, x, y, z)`, its bounds, and `part(kind, p, x, y, z)`, which
names the painted part at a surface point: 0 is the product's own colour, the rest trim.
`p` holds the shape's parameters, each drawn at random in 0 to 1.
"""

from __future__ import annotations

import math

import numpy as np

from .shapes import bodies, body_parts, furniture_and_things, kinds, variants
from .shapes.primitives import box, cylinder, ellipsoid, jit, smax, smin, step

SNEAKER, HANDBAG, WRISTWATCH, MUG, BOTTLE, CAR, CHAIR, LAMP, PLANT, BALL, BOOKS = range(11)
KINDS: tuple[str, ...] = (
    "sneaker",
    "handbag",
    "wristwatch",
    "mug",
    "bottle",
    "car",
    "chair",
    "lamp",
)
KINDS += ("plant", "ball", "books")
PARTS = 5

# half size x, height, half size z of what each shape can reach, in its own frame
BOUNDS = np.array(
    [
        [0.56, 0.60, 0.24],
        [0.54, 0.98, 0.26],
        [0.42, 1.02, 0.52],
        [0.74, 0.92, 0.46],
        [0.33, 1.14, 0.33],
        [0.66, 0.58, 0.30],
        [0.34, 1.10, 0.36],
        [0.46, 1.10, 0.46],
        [0.46, 1.06, 0.46],
        [0.36, 0.72, 0.36],
        [0.50, 0.42, 0.40],
    ]
)


@jit
def _sneaker_width(u, p):
    v = 2.0 * u - 1.0
    ball = 0.82 + 0.22 * step(0.35, 0.75, u)
    return 0.165 * ball * math.sqrt(max(0.0, 1.0 - v * v * v * v * v * v))


@jit
def _sneaker(p, x, y, z):
    u = min(1.0, max(0.0, x + 0.5))
    outside = max(abs(x) - 0.5, 0.0)
    high = 0.10 * p[0]
    top = 0.175 + (0.23 + high) * step(0.74, 0.34 - 0.05 * p[1], u) + 0.03 * step(0.14, 0.0, u)
    top -= 0.05 * step(0.86, 1.0, u)
    w = _sneaker_width(u, p)
    rise = max(0.0, y - 0.08)
    upper = smax(abs(z) - w * (1.0 - 0.9 * rise), y - top, 0.09)
    upper = max(upper, abs(x + 0.10 * rise) - 0.485)
    hole = ellipsoid(x + 0.27, y - 0.50 - high, z, 0.155, 0.17, 0.085)
    upper = smax(upper, -hole, 0.03)
    sole = cylinder(abs(z) - w * 1.10 - 0.01, abs(y - 0.055) - 0.055, 0.025)
    return 0.6 * math.sqrt(min(upper, sole) ** 2) * (1.0 if min(upper, sole) > 0 else -1.0) + (
        0.6 * outside
    )


@jit
def _sneaker_part(p, x, y, z):
    u = x + 0.5
    if y < 0.112:
        return 1
    if ((x + 0.27) / 0.175) ** 2 + ((y - 0.5 - 0.1 * p[0]) / 0.19) ** 2 + (z / 0.1) ** 2 < 1.0:
        return 4
    if p[2] > 0.5 and u > 0.87:
        return 1
    if 0.42 < u < 0.74 and abs(z) < 0.075 and math.sin(u * 95.0) > 0.0 and y > 0.2:
        return 2
    if p[3] > 0.55 and y > 0.13 and y < 0.27 and abs(u - 0.36 - 0.9 * (y - 0.12)) < 0.032:
        return 2
    return 0


@jit
def _handbag(p, x, y, z):
    tall = 0.27 + 0.07 * p[0]
    half = 0.36 + 0.07 * p[1]
    taper = 1.0 + (0.9 * p[2] - 0.45) * (y - tall)
    bulge = 0.13 + 0.05 * (1.0 - min(1.0, max(0.0, y / (2.0 * tall)))) + 0.02 * p[3]
    body = box(x / taper, y - tall, z, half, tall, bulge, 0.06)
    ry = 0.20 + 0.10 * p[4]
    hx, hy = x, (y - 2.0 * tall + 0.04) * 0.2 / ry
    ring = math.sqrt(hx * hx + hy * hy) - 0.20
    gap = abs(z) - (0.055 if p[5] > 0.5 else 0.0)
    handle = math.sqrt(ring * ring + gap * gap) - 0.028
    handle = max(handle * 0.85, -(y - 2.0 * tall + 0.06))
    return 0.8 * min(body, handle)


@jit
def _handbag_part(p, x, y, z):
    tall = 0.27 + 0.07 * p[0]
    if y > 2.0 * tall + 0.01:
        return 1
    if abs(x) < 0.05 and abs(y - 1.12 * tall) < 0.045 and z > 0.0:
        return 3
    if p[6] > 0.5 and abs(y - 1.05 * tall) < 0.014 and z > 0.0:
        return 1
    if p[6] <= 0.25 and abs(abs(x) - 0.24) < 0.026:
        return 1
    return 0


@jit
def _watch_frame(p, x, y, z):
    """Tilt: the dial looks up a little."""
    a = 0.10 + 0.25 * p[0]
    c, s = math.cos(a), math.sin(a)
    y = y - 0.42
    return x, c * y - s * z, s * y + c * z


@jit
def _wristwatch(p, x, y, z):
    ry = 0.40
    yy = y - ry - 0.01
    loop = math.sqrt(yy * yy + (z * 1.08) ** 2)
    width = 0.15 - 0.03 * step(0.0, -0.35, z)
    strap = box(x, loop - ry + 0.02, 0.0, width, 0.026, 1.0, 0.015)
    wx, wy, wz = _watch_frame(p, x, y, z)
    r = 0.27 + 0.04 * p[1]
    case = cylinder(math.sqrt(wx * wx + wy * wy) - r, abs(wz - 0.36) - 0.055, 0.025)
    crown = box(wx - r - 0.02, wy, wz - 0.36, 0.035, 0.035, 0.03, 0.01)
    return 0.85 * min(strap, min(case, crown))


@jit
def _wristwatch_part(p, x, y, z):
    wx, wy, wz = _watch_frame(p, x, y, z)
    r = 0.27 + 0.04 * p[1]
    rho = math.sqrt(wx * wx + wy * wy)
    if wz < 0.29 or rho > r + 0.012:
        return 1 if (wx > r and abs(wy) < 0.05 and wz > 0.3) else 0
    if rho > r - 0.045 or wz < 0.395:
        return 1
    turn = math.atan2(wy, wx)
    tick = abs(math.sin(6.0 * turn)) < 0.20
    if rho > r - 0.105 and rho < r - 0.06 and tick:
        return 2
    for k in range(2):
        a = 6.2832 * p[2 + k]
        long = (r - 0.10) * (1.0 if k == 0 else 0.68)
        along = wx * math.cos(a) + wy * math.sin(a)
        across = abs(-wx * math.sin(a) + wy * math.cos(a))
        if -0.02 < along < long and across < 0.016 + 0.004 * k:
            return 2
    return 0


@jit
def _mug(p, x, y, z):
    h = 0.72 + 0.14 * p[0]
    rho = math.sqrt(x * x + z * z)
    rad = (0.33 + 0.06 * p[1]) * (1.0 + 0.25 * (p[2] - 0.3) * (y / h - 0.5))
    outer = cylinder(rho - rad, abs(y - 0.5 * h) - 0.5 * h, 0.025)
    inner = max(rho - rad + 0.045, 0.07 - y)
    cup = max(outer, -inner)
    hx, hy = x - rad, (y - 0.5 * h) * (0.75 + 0.2 * p[3])
    ring = math.sqrt(hx * hx + hy * hy) - 0.21
    handle = max(math.sqrt(ring * ring + z * z) - 0.05, rad - 0.03 - rho)
    return 0.85 * smin(cup, handle, 0.03)


@jit
def _mug_part(p, x, y, z):
    h = 0.72 + 0.14 * p[0]
    rho = math.sqrt(x * x + z * z)
    rad = (0.33 + 0.06 * p[1]) * (1.0 + 0.25 * (p[2] - 0.3) * (y / h - 0.5))
    if rho < rad - 0.03 and y > 0.06:
        return 2
    if p[4] > 0.6 and rho < rad + 0.02 and abs(y / h - 0.5) < 0.11:
        return 1
    if p[4] < 0.25 and rho < rad + 0.02 and abs(y / h - 0.9) < 0.05:
        return 1
    return 0


@jit
def _bottle(p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    rb = 0.20 + 0.08 * p[0]
    hb = 0.58 + 0.14 * p[1]
    rn = 0.075 + 0.02 * p[2]
    body = cylinder(rho - rb, abs(y - 0.5 * hb) - 0.5 * hb, 0.06 + 0.10 * p[3])
    neck = cylinder(rho - rn, abs(y - 0.75) - 0.25, 0.01)
    cap = cylinder(rho - rn * 1.35, abs(y - 0.99) - 0.075, 0.02)
    return 0.9 * min(smin(body, neck, 0.16), cap)


@jit
def _bottle_part(p, x, y, z):
    hb = 0.58 + 0.14 * p[1]
    if y > 0.91:
        return 2
    mid = 0.46 * hb
    if p[4] > 0.45 and abs(y - mid) < 0.10 + 0.05 * p[5]:
        if abs(y - mid) < 0.025 and abs(x) < 0.12:
            return 3
        return 1
    return 0


@jit
def _car(p, x, y, z):
    hood = 0.105 + 0.02 * p[0]
    ax = abs(x)
    az = abs(z)
    lower = box(x, y - 0.085 - hood, z, 0.60, hood, 0.245, 0.07)
    roof = 0.43 + 0.08 * p[1]
    base = 0.06 + 2.0 * hood
    front = 0.22 + 0.10 * p[2]
    rear = -0.34 - 0.20 * p[3]
    sf = 0.9
    sr = 0.55 + 0.5 * p[4]
    fx = (x - front + sf * (y - base)) / math.sqrt(1.0 + sf * sf)
    bx = (rear + sr * (y - base) * 0.8 - x) / math.sqrt(1.0 + sr * sr)
    cabin = smax(smax(fx, bx, 0.05), smax(y - roof, az - 0.235 + 0.28 * (y - base), 0.05), 0.05)
    cabin = max(cabin, base - 0.08 - y)
    body = smin(lower, cabin, 0.03)
    wx = ax - 0.365
    wy = y - 0.115
    wheel_r = math.sqrt(wx * wx + wy * wy)
    arch = max(wheel_r - 0.135, 0.15 - az)
    body = max(body, -arch)
    wheel = cylinder(wheel_r - 0.113, abs(az - 0.205) - 0.045, 0.02)
    return 0.85 * min(body, wheel)


@jit
def _car_part(p, x, y, z):
    ax, az = abs(x), abs(z)
    wx, wy = ax - 0.365, y - 0.115
    wheel_r = math.sqrt(wx * wx + wy * wy)
    if wheel_r < 0.122 and az > 0.14:
        return 3 if wheel_r < 0.06 else 1
    hood = 0.105 + 0.02 * p[0]
    base = 0.06 + 2.0 * hood
    roof = 0.43 + 0.08 * p[1]
    if y > base + 0.045 and y < roof - 0.03:
        side = az > 0.235 - 0.28 * (y - base) - 0.02
        front = 0.22 + 0.10 * p[2] - 0.9 * (y - base)
        rear = -0.34 - 0.20 * p[3] + (0.55 + 0.5 * p[4]) * 0.8 * (y - base)
        if side:
            pillar = abs(x - 0.5 * (front + rear)) < 0.022
            if x < front - 0.035 and x > rear + 0.04 and not pillar:
                return 2
        elif az < 0.19 - 0.2 * (y - base):
            return 2
    if ax > 0.55 and abs(y - 0.225) < 0.03 and az > 0.13:
        return 4
    return 0


@jit
def distance(kind, p, x, y, z):
    """Signed distance to shape `kind` at a point of its own frame; negative inside."""
    if kind >= bodies.FIRST:
        return bodies.distance(kind, p, x, y, z)
    if kind >= kinds.FIRST:
        return variants.distance(kind, p, x, y, z)
    if kind == SNEAKER:
        return _sneaker(p, x, y, z)
    if kind == HANDBAG:
        return _handbag(p, x, y, z)
    if kind == WRISTWATCH:
        return _wristwatch(p, x, y, z)
    if kind == MUG:
        return _mug(p, x, y, z)
    if kind == BOTTLE:
        return _bottle(p, x, y, z)
    if kind == CAR:
        return _car(p, x, y, z)
    if kind == CHAIR:
        return furniture_and_things.chair(p, x, y, z)
    if kind == LAMP:
        return furniture_and_things.lamp(p, x, y, z)
    if kind == PLANT:
        return furniture_and_things.plant(p, x, y, z)
    if kind == BALL:
        return math.sqrt(x * x + (y - 0.34) ** 2 + z * z) - 0.34
    return furniture_and_things.books(p, x, y, z)


@jit
def part(kind, p, x, y, z):
    """Index of the painted part at a surface point, 0 to PARTS - 1."""
    if kind >= bodies.FIRST:
        return body_parts.part(kind, p, x, y, z)
    if kind >= kinds.FIRST:
        return variants.part(kind, p, x, y, z)
    if kind == SNEAKER:
        return _sneaker_part(p, x, y, z)
    if kind == HANDBAG:
        return _handbag_part(p, x, y, z)
    if kind == WRISTWATCH:
        return _wristwatch_part(p, x, y, z)
    if kind == MUG:
        return _mug_part(p, x, y, z)
    if kind == BOTTLE:
        return _bottle_part(p, x, y, z)
    if kind == CAR:
        return _car_part(p, x, y, z)
    if kind == CHAIR:
        return furniture_and_things.chair_part(p, x, y, z)
    if kind == LAMP:
        return furniture_and_things.lamp_part(p, x, y, z)
    if kind == PLANT:
        return 1 if y < 0.345 else 0
    if kind == BALL:
        turn = math.atan2(z, x)
        return 1 if math.sin(3.0 * turn + 4.0 * p[0]) > 0.0 else 0
    return furniture_and_things.books_part(p, x, y, z)
