"""Several shapes of each product class, as signed distances with painted parts.

Each has `distance(kind, p, x, y, z)`, bounds, and `part(kind, p, x, y, z)`: 0 is the product's
main colour, the rest trim. `p` holds the shape's parameters, each drawn at random in 0 to 1. The
front of a product faces +z, or +x where it is seen from the side (sneakers, cars).
"""

from __future__ import annotations

import math

from .primitives import box, capsule, cylinder, ellipsoid, jit, smax, smin, step

FIRST = 20
"""The first kind of this module; lower numbers are those of `products` and `bodies`."""

KINDS: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    ("sneaker", "runner", (0.56, 0.62, 0.24)),
    ("sneaker", "high-top", (0.56, 0.86, 0.24)),
    ("handbag", "flap", (0.54, 1.10, 0.24)),
    ("handbag", "tote", (0.50, 1.12, 0.24)),
    ("handbag", "hobo", (0.54, 1.06, 0.22)),
    ("handbag", "bowling", (0.54, 0.98, 0.26)),
    ("wristwatch", "round", (0.42, 1.10, 0.30)),
    ("wristwatch", "square", (0.36, 1.10, 0.30)),
    ("wristwatch", "loop", (0.42, 1.04, 0.52)),
    ("mug", "straight", (0.76, 0.92, 0.46)),
    ("mug", "barrel", (0.76, 0.86, 0.48)),
    ("mug", "cup", (0.66, 0.62, 0.58)),
    ("bottle", "wine", (0.26, 1.14, 0.26)),
    ("bottle", "sport", (0.26, 1.12, 0.26)),
    ("bottle", "square", (0.30, 1.02, 0.24)),
    ("bottle", "soda", (0.28, 1.12, 0.28)),
    ("car", "sedan", (0.68, 0.56, 0.34)),
    ("car", "hatchback", (0.66, 0.60, 0.34)),
    ("car", "suv", (0.66, 0.66, 0.36)),
    ("car", "pickup", (0.70, 0.60, 0.34)),
    ("car", "van", (0.66, 0.70, 0.36)),
    ("car", "coupe", (0.68, 0.50, 0.36)),
    ("chair", "dining", (0.36, 1.10, 0.38)),
    ("chair", "armchair", (0.46, 0.96, 0.44)),
    ("chair", "office", (0.42, 1.12, 0.42)),
    ("chair", "shell", (0.38, 0.98, 0.42)),
    ("lamp", "table", (0.46, 1.10, 0.46)),
    ("lamp", "desk", (0.52, 1.06, 0.30)),
    ("lamp", "mushroom", (0.44, 0.86, 0.44)),
    ("lamp", "floor", (0.36, 1.30, 0.36)),
)
"""Class, shape, and half size x, height, half size z of what the shape can reach."""

PARTS = 8
(RUNNER, HIGH_TOP, FLAP, TOTE, HOBO, BOWLING, ROUND, SQUARE, LOOP, STRAIGHT, BARREL, CUP) = range(
    FIRST, FIRST + 12
)
(WINE, SPORT, SQUARE_BOTTLE, SODA, SEDAN, HATCHBACK, SUV, PICKUP, VAN, COUPE) = range(
    FIRST + 12, FIRST + 22
)
(DINING, ARMCHAIR, OFFICE, SHELL, TABLE_LAMP, DESK_LAMP, MUSHROOM, FLOOR_LAMP) = range(
    FIRST + 22, FIRST + 30
)


@jit
def _uneven(x, z, h, ra, rb):
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
def _box2(x, y, bx, by, r):
    qx, qy = abs(x) - bx + r, abs(y) - by + r
    ox, oy = max(qx, 0.0), max(qy, 0.0)
    return math.sqrt(ox * ox + oy * oy) + min(max(qx, qy), 0.0) - r


@jit
def _arch(x, y, half, straight, r):
    """2-D distance to the middle line of an inverted U: legs `half` apart, `straight` high."""
    ax = abs(x)
    if y > straight:
        return abs(math.sqrt(ax * ax + (y - straight) ** 2) - half) - r
    qy = max(-y, 0.0)
    return math.sqrt((ax - half) ** 2 + qy * qy) - r


# sneakers ---------------------------------------------------------------------------------


@jit
def _outline(x, z):
    a = _uneven(x + 0.365, z, 0.62, 0.125, 0.160)
    b = _uneven(x - 0.22, z + 0.012, 0.18, 0.160, 0.098)
    return smin(a, b, 0.06)


@jit
def _sole_height(kind, p, x):
    if kind == HIGH_TOP:
        return 0.095
    return 0.10 + (0.05 + 0.05 * p[0]) * step(0.30, -0.45, x) + 0.02 * p[1]


@jit
def _collar(kind, p, x):
    """Height of the opening's edge at x."""
    if kind == HIGH_TOP:
        return 0.64 + 0.10 * p[2] + 0.06 * step(-0.22, -0.06, x)
    return 0.37 + 0.05 * p[2] + 0.055 * step(-0.30, -0.44, x) + 0.09 * step(-0.26, -0.04, x)


@jit
def _instep(kind, p, x):
    """Height of the upper along the foot."""
    toe = 0.215 + 0.03 * p[3]
    up = (0.20 if kind == RUNNER else 0.24) * step(0.36, -0.14, x)
    return toe + up - 0.07 * step(0.34, 0.52, x)


@jit
def _laces(x, y, z):
    """0..1 on the laces."""
    t = (x - 0.02) * 14.0
    near = step(0.085, 0.065, abs(z)) * step(0.285, 0.25, x) * step(-0.13, -0.10, x)
    cross = math.sin(6.2832 * (t * 0.5 + 2.2 * abs(z)))
    foot = near * step(0.35, 0.7, cross)
    if y < 0.40:
        return foot
    front = step(0.070, 0.055, abs(z)) * step(-0.19, -0.16, x) * step(0.62, 0.58, y)
    return max(foot, front * step(0.35, 0.7, math.sin(6.2832 * (13.0 * y - 2.2 * abs(z)))))


@jit
def _shaft(kind, lean, y, z):
    """2-D distance to the part round the ankle, at a height."""
    slim = 0.05 * step(0.1, 0.5, y) if kind == RUNNER else 0.035 * step(0.1, 0.45, y)
    return math.sqrt((lean / 1.32) ** 2 + z * z) - 0.130 + slim


@jit
def _sneaker(kind, p, x, y, z):
    spring = 0.055 * step(0.22, 0.58, x) ** 2
    y = y - spring
    flat = _outline(x, z)
    hs = _sole_height(kind, p, x)
    flare = 0.014 * step(0.10, 0.0, y) if kind == RUNNER else 0.0
    sole = cylinder(flat - 0.008 - flare, abs(y - 0.5 * hs) - 0.5 * hs, 0.022)
    rise = max(0.0, y - 0.12)
    foot = smax(flat + 0.012 + 0.28 * rise, y - _instep(kind, p, x), 0.11)
    lean = x + 0.245 - 0.06 * (y - 0.3)
    shaft2 = _shaft(kind, lean, y, z)
    top = y - _collar(kind, p, x)
    shaft = smax(shaft2, top, 0.03)
    upper = smin(foot, shaft, 0.14)
    hole = max(shaft2 + 0.030, 0.22 - y)
    upper = smax(upper, -hole, 0.02)
    upper = max(upper, 0.02 - y)
    # the tongue leans out of the front of the opening
    tx, ty = x + (0.125 if kind == RUNNER else 0.145), y - _collar(kind, p, -0.10) + 0.06
    cx, cy = 0.92 * tx + 0.38 * ty, -0.38 * tx + 0.92 * ty
    tongue = box(cx, cy, z, 0.022, 0.10, 0.075, 0.020)
    best = min(upper, tongue)
    if y > 0.2:
        best -= 0.010 * _laces(x, y, z)
    return 0.62 * min(best, sole)


@jit
def _sneaker_part(kind, p, x, y, z):
    y = y - 0.055 * step(0.22, 0.58, x) ** 2
    hs = _sole_height(kind, p, x)
    if y < hs - 0.004:
        if p[4] > 0.45 and abs(y - 0.45 * hs) < 0.012:
            return 3  # a line round the sole
        return 6 if y < 0.022 else 1
    lean = x + 0.245 - 0.06 * (y - 0.3)
    shaft2 = _shaft(kind, lean, y, z)
    if shaft2 < -0.022 and y > 0.24:
        return 4
    if y > 0.2 and _laces(x, y, z) > 0.3:
        return 2
    if abs(z) < 0.075 and x > -0.14 and x < 0.27 and y > _instep(kind, p, x) - 0.09:
        return 5  # tongue
    if kind == HIGH_TOP and y > 0.4 and x > -0.19 and abs(z) < 0.06:
        return 5
    if kind == HIGH_TOP:
        if x > 0.335 and y < 0.24:
            return 1  # rubber toe cap
        if p[5] > 0.4 and (x + 0.22) ** 2 + (y - 0.50) ** 2 < 0.0052:
            return 3 if (x + 0.22) ** 2 + (y - 0.50) ** 2 < 0.0032 else 1
        if p[6] > 0.6 and abs(x + 0.40) < 0.022:
            return 3
        return 0
    if p[5] < 0.35:  # three slanted stripes
        s = x - 0.75 * (y - 0.13)
        for k in range(3):
            if abs(s + 0.03 - 0.095 * k) < 0.021 and y < 0.32 and abs(z) > 0.07:
                return 3
    elif p[5] < 0.7:  # a swung band
        mid = 0.17 + 0.42 * (x + 0.10) ** 2 + 0.10 * step(0.05, -0.35, x)
        wide = 0.034 * step(0.36, 0.05, x) + 0.006
        if abs(y - mid - 0.02) < wide and x < 0.30 and x > -0.36 and abs(z) > 0.05:
            return 3
    if p[6] > 0.5 and x < -0.40 and y > 0.24:
        return 3
    if p[7] > 0.5 and x > 0.35 and y < 0.27:
        return 7
    return 0


# handbags ---------------------------------------------------------------------------------


@jit
def _flap_edge(p, x, half):
    """Height of the flap's lower edge, as a share of the bag's."""
    s = x / half
    if p[5] > 0.5:
        return 0.38 + 0.22 * s * s
    return 0.50 if p[5] > 0.25 else 0.34 + 0.40 * abs(s)


@jit
def _handbag(kind, p, x, y, z):
    if kind == FLAP:
        tall = 0.23 + 0.06 * p[0]
        half = 0.38 + 0.07 * p[1]
        thick = 0.11 + 0.03 * p[2]
        body = box(x, y - tall, z, half, tall, thick, 0.05)
        edge = 2.0 * tall * _flap_edge(p, x, half)
        over = box(x, y - tall - 0.010, z - 0.016, half - 0.012, tall, thick, 0.05)
        over = max(over, (edge - y) * 0.7)
        clasp = box(x, y - edge - 0.03, z - thick - 0.02, 0.045, 0.035, 0.018, 0.012)
        best = min(min(body, over), clasp)
        if p[6] > 0.4:
            up = _arch(x, y - 2.0 * tall, 0.19, 0.04 + 0.08 * p[4], 0.0)
            handle = math.sqrt(max(up, 0.0) ** 2 + z * z) - 0.024
            best = min(best, max(handle, 2.0 * tall - 0.04 - y))
        else:
            up = _arch(x, y - 1.6 * tall, half - 0.01, 0.10, 0.0)
            strap = _box2(up, z, 0.011, 0.028, 0.008)
            best = min(best, max(strap, 1.5 * tall - y))
        return 0.8 * best
    if kind == TOTE:
        tall = 0.30 + 0.05 * p[0]
        slope = 1.0 + 0.35 * p[1] * (y - tall)
        half = 0.34 + 0.05 * p[2]
        sag = 0.012 * math.sin(9.0 * x + 6.0 * p[3]) * step(0.1, 0.5, y)
        thick = 0.12 - 0.02 * y / tall
        body = box(x / slope, y - tall, z + sag, half, tall, thick, 0.03)
        inner = box(x / slope, y - tall - 0.05, z + sag, half - 0.02, tall, thick - 0.02, 0.02)
        body = max(body, -inner)
        high = 0.14 + 0.16 * p[4]
        up = _arch(x, y - 2.0 * tall + 0.10, 0.15, high, 0.0)
        gap = abs(z + sag) - 0.085
        handle = _box2(up, gap, 0.022, 0.010, 0.008)
        handle = max(handle, 2.0 * tall - 0.12 - y)
        return 0.75 * min(body, handle)
    if kind == HOBO:
        w = 0.46
        body = ellipsoid(x, y - 0.35, z, w, 0.35, 0.15 + 0.04 * p[0])
        dip = ellipsoid(x, y - 0.80 - 0.06 * p[1], z, 0.40, 0.32, 0.6)
        body = smax(body, -dip, 0.04)
        ring = math.sqrt((x / 0.95) ** 2 + (y - 0.56) ** 2) - 0.40
        strap = _box2(ring, z, 0.014, 0.036 - 0.012 * step(0.6, 0.95, y), 0.010)
        strap = max(strap, 0.50 - y)
        return 0.7 * smin(body, strap, 0.03)
    tall = 0.25 + 0.04 * p[0]
    roof = 1.0 - 0.55 * step(tall * 0.7, 2.0 * tall, y)
    flat = _box2(x, y - tall, 0.42 + 0.05 * p[1], tall, 0.10 + 0.10 * p[2])
    body = smax(flat, abs(z) - 0.19 * roof, 0.06)
    high = 0.02 + 0.10 * p[4]
    up = _arch(x, y - 1.75 * tall, 0.17, high, 0.0)
    gap = abs(z) - 0.085 + 0.10 * max(0.0, y - 1.7 * tall)
    handle = math.sqrt(max(up, 0.0) ** 2 + gap * gap) - 0.020
    handle = max(handle, 1.1 * tall - y)
    return 0.7 * min(body, handle)


@jit
def _handbag_part(kind, p, x, y, z):
    if kind == FLAP:
        tall = 0.23 + 0.06 * p[0]
        half = 0.38 + 0.07 * p[1]
        thick = 0.11 + 0.03 * p[2]
        if y > 2.0 * tall + 0.02 or abs(x) > half + 0.002:
            return 1
        edge = 2.0 * tall * _flap_edge(p, x, half)
        if z > thick + 0.012 and abs(x) < 0.046 and abs(y - edge - 0.03) < 0.036:
            return 2
        if z > 0.0 and y > edge - 0.002:
            if p[7] > 0.4 and y < edge + 0.022 and y > edge + 0.012:
                return 4
            return 3
        return 0
    if kind == TOTE:
        tall = 0.30 + 0.05 * p[0]
        sag = 0.012 * math.sin(9.0 * x + 6.0 * p[3]) * step(0.1, 0.5, y)
        half = 0.34 + 0.05 * p[2]
        up = _arch(x, y - 2.0 * tall + 0.10, 0.15, 0.14 + 0.16 * p[4], 0.0)
        if y > 2.0 * tall - 0.11 and up < 0.024 and abs(z + sag) > 0.076:
            return 1
        if y > 2.0 * tall + 0.005:
            return 1
        if abs(z + sag) < 0.11 - 0.02 * y / tall and y > 0.1 and abs(x) < half - 0.01:
            return 5
        if p[5] > 0.6 and y < 0.16:
            return 3
        if p[6] > 0.6 and z > 0.0 and _box2(x, y - tall, 0.10, 0.06, 0.02) < 0.0:
            return 3
        return 0
    if kind == HOBO:
        if y > 0.66 + 0.05 * p[1]:
            return 1
        if p[5] > 0.5 and z > 0.0 and abs(y - 0.30 - 0.3 * x * x) < 0.010 and abs(x) < 0.30:
            return 2
        if abs(x) > 0.36 and y > 0.50 and y < 0.56:
            return 2
        if p[6] > 0.5 and x * x + (y - 0.40) ** 2 < 0.0016 and z > 0.0:
            return 2
        return 0
    tall = 0.25 + 0.04 * p[0]
    roof = 1.0 - 0.55 * step(tall * 0.7, 2.0 * tall, y)
    if y > 2.0 * tall + 0.006 or abs(z) > 0.19 * roof + 0.004:
        return 1
    if abs(z) < 0.014 and y > 1.6 * tall:
        return 2
    if p[5] > 0.4 and abs(abs(x) - 0.17) < 0.028:
        return 1
    if p[6] > 0.6 and y < 0.13:
        return 3
    if p[7] > 0.5 and abs(x) < 0.055 and abs(y - 1.1 * tall) < 0.03 and z > 0.0:
        return 2
    return 0


# wristwatches -----------------------------------------------------------------------------


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
def _wristwatch(kind, p, x, y, z):
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
    flat = _box2(wx, wy, hx, hy, 0.05 + 0.05 * p[3])
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
        if off < (0.050 if quarter else 0.030) * r and rho > (0.70 if quarter else 0.76) * r:
            if rho < 0.92 * r:
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
def _wristwatch_part(kind, p, x, y, z):
    wx, wy, wz = _watch_axes(kind, p, x, y, z)
    if kind == SQUARE:
        hx, hy = 0.185 + 0.04 * p[1], 0.215 + 0.05 * p[2]
        flat = _box2(wx, wy, hx, hy, 0.05 + 0.05 * p[3])
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


# mugs -------------------------------------------------------------------------------------


@jit
def _mug_radius(kind, p, y):
    if kind == STRAIGHT:
        h = 0.70 + 0.16 * p[0]
        return (0.33 + 0.06 * p[1]) * (1.0 + 0.30 * (p[2] - 0.4) * (y / h - 0.5)), h
    if kind == BARREL:
        h = 0.66 + 0.12 * p[0]
        t = y / h
        return 0.30 + 0.04 * p[1] + (0.05 + 0.07 * p[2]) * 4.0 * t * (1.0 - t) - 0.02 * t, h
    h = 0.44 + 0.08 * p[0]
    t = min(1.0, max(0.0, (y - 0.04) / h))
    return 0.19 + (0.17 + 0.04 * p[1]) * math.sqrt(t + 0.02), h + 0.04


@jit
def _mug(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    rad, h = _mug_radius(kind, p, min(max(y, 0.0), 1.0))
    outer = cylinder(rho - rad, abs(y - 0.5 * h) - 0.5 * h, 0.02)
    inner = max(rho - rad + 0.040, 0.06 - y)
    cup = smax(outer, -inner, 0.012)
    low = 0.5 * h if kind != CUP else 0.56 * h
    edge, _ = _mug_radius(kind, p, low)
    size = (0.20 if kind != CUP else 0.12) * (0.9 + 0.2 * p[3])
    hx, hy = (x - edge) * (0.9 + 0.25 * p[12]), (y - low) * (0.72 + 0.25 * p[13])
    ring = math.sqrt(hx * hx + hy * hy) - size
    thick = 0.042 if kind != CUP else 0.028
    handle = max(math.sqrt(ring * ring + (z * 0.85) ** 2) - thick, rad - 0.03 - rho)
    best = smin(cup, handle, 0.03)
    if kind == CUP:
        dish = cylinder(rho - 0.46, abs(y - 0.02 - 0.10 * step(0.22, 0.5, rho)) - 0.012, 0.008)
        best = min(best, 0.8 * dish)
    return 0.72 * best


@jit
def _mug_part(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    rad, h = _mug_radius(kind, p, min(max(y, 0.0), 1.0))
    if kind == CUP and y < 0.04 + 0.10 * step(0.22, 0.5, rho) and rho > 0.21:
        return 4 if rho < 0.43 else 1
    if rho < rad - 0.022 and y > 0.05:
        return 2 if y > 0.8 * h or p[6] < 0.4 else 5
    if rho > rad + 0.012:
        return 3
    if p[4] > 0.62 and abs(y / h - 0.5) < 0.10 + 0.05 * p[5]:
        return 1
    if p[4] < 0.12 and y / h > 0.88:
        return 1
    if 0.12 <= p[4] < 0.22 and y / h < 0.30:
        return 1
    return 0


# bottles ----------------------------------------------------------------------------------


@jit
def _bottle(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    if kind == WINE:
        rb, hb = 0.155 + 0.03 * p[0], 0.60 + 0.08 * p[1]
        body = cylinder(rho - rb, abs(y - 0.5 * hb) - 0.5 * hb, 0.03 + 0.09 * p[2])
        neck = cylinder(rho - 0.055, abs(y - 0.78) - 0.26, 0.01)
        ring = cylinder(rho - 0.068, abs(y - 0.985) - 0.02, 0.008)
        foil = cylinder(rho - 0.060, abs(y - 0.96) - 0.085, 0.012)
        return 0.8 * min(smin(body, neck, 0.10 + 0.14 * p[3]), min(ring, foil))
    if kind == SPORT:
        rb, hb = 0.175 + 0.03 * p[0], 0.80
        waist = 0.025 * math.exp(-(((y - 0.50) / 0.12) ** 2)) if p[1] > 0.5 else 0.0
        body = cylinder(rho - rb + waist, abs(y - 0.5 * hb) - 0.5 * hb, 0.05)
        neck = cylinder(rho - rb * 0.70, abs(y - 0.82) - 0.06, 0.01)
        cap = cylinder(rho - rb * 0.80, abs(y - 0.92) - 0.065, 0.03)
        cap += 0.006 * step(0.2, 0.9, math.sin(26.0 * math.atan2(z, x)))
        if p[2] > 0.5:
            ring = math.sqrt(x * x + (y - 1.01) ** 2) - 0.07
            top = math.sqrt(ring * ring + z * z) - 0.020
        else:
            top = cylinder(rho - 0.05, abs(y - 1.01) - 0.05, 0.02)
        return 0.8 * min(smin(body, neck, 0.06), min(cap, top))
    if kind == SQUARE_BOTTLE:
        hb = 0.58 + 0.08 * p[0]
        body = box(x, y - 0.5 * hb, z, 0.21 + 0.05 * p[1], 0.5 * hb, 0.13 + 0.04 * p[2], 0.045)
        neck = cylinder(rho - 0.06, abs(y - 0.68) - 0.16, 0.01)
        cap = cylinder(rho - 0.085, abs(y - 0.88) - 0.09, 0.02)
        return 0.8 * min(smin(body, neck, 0.09), cap)
    hb = 0.66
    rb = 0.19 + 0.03 * p[0]
    ribs = 0.010 * math.sin(y * (40.0 + 30.0 * p[1])) * step(0.0, 0.1, y)
    if p[2] > 0.5:
        ribs = 0.035 * math.exp(-(((y - 0.36) / 0.10) ** 2))
    body = cylinder(rho - rb + ribs, abs(y - 0.5 * hb) - 0.5 * hb, 0.06)
    cone = cylinder(rho - rb + 0.14 * step(0.55, 0.98, y) ** 1.0, abs(y - 0.70) - 0.24, 0.02)
    cap = cylinder(rho - 0.075, abs(y - 0.99) - 0.055, 0.012)
    cap += 0.004 * step(0.2, 0.9, math.sin(30.0 * math.atan2(z, x)))
    return 0.7 * min(smin(body, cone, 0.06), cap)


@jit
def _bottle_part(kind, p, x, y, z):
    if kind == WINE:
        if y > 0.86:
            return 2
        hb = 0.60 + 0.08 * p[1]
        if abs(y - 0.46 * hb) < 0.13 and (z > -0.02 or p[4] > 0.5):
            if abs(y - 0.52 * hb) < 0.030 and abs(x) < 0.09:
                return 3
            if abs(y - 0.40 * hb) < 0.009 and abs(x) < 0.07:
                return 3
            return 1
        if p[5] > 0.7 and abs(y - 0.72) < 0.02:
            return 1
        return 0
    if kind == SPORT:
        if y > 0.845:
            return 2
        if p[4] > 0.5 and abs(y - 0.70) < 0.03:
            return 1
        if p[4] < 0.25 and y < 0.10:
            return 1
        if p[5] > 0.5 and abs(x) < 0.03 and abs(y - 0.36) < 0.18 and z > 0:
            return 3
        return 0
    if kind == SQUARE_BOTTLE:
        if y > 0.785:
            return 2
        if z > 0.1 and _box2(x, y - 0.28, 0.15, 0.15, 0.02) < 0.0:
            if abs(y - 0.33) < 0.035 and abs(x) < 0.10:
                return 3
            if abs(y - 0.22) < 0.010 and abs(x) < 0.08:
                return 3
            return 1
        return 0
    if y > 0.93:
        return 2
    if abs(y - 0.36) < 0.12 and p[4] > 0.2:
        if abs(y - 0.36) < 0.04 and math.sin(14.0 * math.atan2(x, z)) > -0.3:
            return 3
        return 1
    return 0


# cars -------------------------------------------------------------------------------------


@jit
def _car_shape(kind, p):
    """(sill, belt, roof, cabin front and rear at the belt, slopes, wheel radius, axle, half width).

    Slopes: how far front and rear glass lean back for each unit of height.
    """
    if kind == SEDAN:
        return 0.085, 0.265, 0.425 + 0.03 * p[0], 0.24, -0.40, 1.25, 1.15, 0.105, 0.375, 0.235
    if kind == HATCHBACK:
        return 0.085, 0.285, 0.465 + 0.04 * p[0], 0.27, -0.54, 1.05, 0.40, 0.108, 0.365, 0.240
    if kind == SUV:
        return 0.120, 0.340, 0.545 + 0.03 * p[0], 0.24, -0.56, 0.75, 0.25, 0.130, 0.370, 0.255
    if kind == PICKUP:
        return 0.125, 0.320, 0.510 + 0.03 * p[0], 0.24, -0.14, 0.85, 0.15, 0.128, 0.400, 0.245
    if kind == VAN:
        return 0.100, 0.330, 0.600 + 0.04 * p[0], 0.44, -0.60, 0.75, 0.05, 0.112, 0.370, 0.250
    return 0.070, 0.240, 0.370 + 0.03 * p[0], 0.22, -0.46, 1.55, 1.90, 0.112, 0.385, 0.255


@jit
def _car(kind, p, x, y, z):
    sill, belt, roof, front, rear, sf, sr, wheel, axle, half = _car_shape(kind, p)
    az = abs(z)
    ends = 0.62 if kind != VAN else 0.60
    plan = _box2(x, z, ends, half, 0.10)
    nose = 0.055 if kind != VAN else 0.02
    tail = 0.02 if kind != COUPE else -0.01
    deck = belt - nose * step(0.20, 0.62, x) ** 2 - tail * step(-0.40, -0.62, x)
    lower = smax(plan, y - deck, 0.05)
    lower = smax(lower, sill - y, 0.03)
    lower = max(lower, az - half + 0.10 * max(0.0, 0.17 - y))
    t = y - belt
    fx = (x - front + sf * t) / math.sqrt(1.0 + sf * sf)
    bx = (rear + sr * t - x) / math.sqrt(1.0 + sr * sr)
    side = az - half + 0.022 + 0.34 * max(0.0, t)
    bend = 0.10 * (x + 0.10) ** 2
    cabin = smax(smax(fx, bx, 0.06), smax(y - roof + bend, side, 0.05), 0.05)
    cabin = max(cabin, belt - 0.08 - y)
    body = smin(lower, cabin, 0.025)
    if kind == PICKUP:
        bed = _box2(x + 0.40, z, 0.195, half - 0.03, 0.02)
        body = max(body, -max(bed, 0.22 - y))
    wx = abs(x) - axle
    wy = y - wheel - 0.004
    wr = math.sqrt(wx * wx + wy * wy)
    arch = max(wr - wheel * 1.17, half - 0.10 - az)
    body = smax(body, -arch, 0.012)
    tyre = cylinder(wr - wheel, abs(az - half + 0.045) - 0.045, 0.018)
    dish = max(wr - 0.66 * wheel, half - 0.014 - az)
    tyre = max(tyre, -dish)
    mirror = ellipsoid(x - front + 0.06, y - belt - 0.035, az - half - 0.015, 0.022, 0.026, 0.035)
    bumper = _box2(x, z, ends + 0.012, half - 0.02, 0.10)
    bumper = smax(bumper, abs(y - sill - 0.045) - 0.030, 0.02)
    best = min(min(body, tyre), min(mirror, bumper))
    if kind == SUV and p[7] > 0.5:
        rail = capsule(
            x, y, az, rear + 0.12, roof + 0.012, half - 0.11, 0.02, roof + 0.012, half - 0.11, 0.010
        )
        best = min(best, rail)
    if kind == COUPE and p[7] > 0.5:
        wing = box(x + 0.56, y - belt - 0.06, z, 0.05, 0.010, half - 0.03, 0.008)
        post = box(x + 0.56, y - belt - 0.02, az - 0.14, 0.02, 0.05, 0.012, 0.005)
        best = min(best, min(wing, post))
    return 0.75 * best


@jit
def _car_part(kind, p, x, y, z):
    sill, belt, roof, front, rear, sf, sr, wheel, axle, half = _car_shape(kind, p)
    az = abs(z)
    wx, wy = abs(x) - axle, y - wheel - 0.004
    wr = math.sqrt(wx * wx + wy * wy)
    if wr < wheel + 0.004 and az > half - 0.094:
        if wr > 0.67 * wheel:
            return 1
        turn = math.atan2(wy, wx)
        spokes = 5.0 + math.floor(4.0 * p[5])
        if wr < 0.17 * wheel or wr > 0.58 * wheel or math.sin(spokes * turn) > -0.15:
            return 3
        return 6
    if wr < wheel * 1.19 and az < half - 0.005 and y < belt - 0.05:
        return 6
    t = y - belt
    if t > 0.02 and y < roof - 0.025:
        f, b = front - sf * t, rear + sr * t
        edge = half - 0.022 - 0.34 * t
        if az > edge - 0.022:
            mid = 0.5 * (front + rear) + 0.03
            pillar = abs(x - mid) < 0.016
            if kind in (SUV, VAN, HATCHBACK) and abs(x - rear - 0.20) < 0.018:
                pillar = True
            glazed = x < f - 0.05 and x > b + 0.05
            if kind == VAN and p[6] > 0.5 and x < mid:
                glazed = False
            if glazed and not pillar:
                return 2
            if glazed:
                return 6
        elif (x > f - 0.05 or x < b + 0.05) and az < edge - 0.030:
            return 2
    ends = 0.62 if kind != VAN else 0.60
    if x > ends - 0.10:  # front
        if abs(y - belt + 0.085) < 0.030 and az > half - 0.10 and az < half - 0.012:
            return 4
        if abs(y - belt + 0.090) < 0.026 and az < half - 0.125 and x > ends - 0.02:
            return 6 if math.sin(260.0 * y) > -0.2 else 3
        if y < sill + 0.075 and y > sill + 0.015 and az < 0.06 and x > ends:
            return 3
        if y < sill + 0.018:
            return 6
    if x < -ends + 0.07:  # rear
        if abs(y - belt + 0.060) < 0.032 and az > half - 0.085:
            return 5
        if abs(y - belt + 0.11) < 0.025 and az < 0.07:
            return 3
    if y < sill + 0.022:
        return 6
    if az > half - 0.03 and y > sill + 0.03 and y < belt:
        mid = 0.5 * (front + rear) + 0.03
        lines = abs(x - mid) < 0.0045 or abs(x - front + 0.02) < 0.0045
        if kind != COUPE and kind != PICKUP:
            lines = lines or abs(x - rear - 0.14) < 0.0045
        if lines and wr > wheel * 1.25:
            return 6
        if abs(y - belt + 0.045) < 0.007 and (abs(x - mid - 0.055) < 0.025):
            return 3
    if az < half - 0.03 and y > belt - 0.03 and p[6] > 0.72 and kind in (COUPE, HATCHBACK, SEDAN):
        if abs(az - 0.05) < 0.028:
            return 7  # racing stripes
    if y > roof - 0.045 and p[6] < 0.2:
        return 7
    return 0


# chairs -----------------------------------------------------------------------------------


@jit
def _chair(kind, p, x, y, z):
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
def _chair_part(kind, p, x, y, z):
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


# lamps ------------------------------------------------------------------------------------


@jit
def _shade_of(kind, p):
    """(bottom, top, radius below, radius above) of a cone-shaped shade."""
    if kind == FLOOR_LAMP:
        return 0.92, 1.22, 0.23 + 0.08 * p[0], 0.13 + 0.08 * p[1]
    return 0.58, 0.98 + 0.06 * p[2], 0.30 + 0.10 * p[0], 0.15 + 0.16 * p[1]


@jit
def _lamp(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    if kind in (TABLE_LAMP, FLOOR_LAMP):
        start, end, low, high = _shade_of(kind, p)
        t = (y - start) / (end - start)
        slope = (low - high) / (end - start)
        edge = (rho - low + (low - high) * t) / math.sqrt(1.0 + slope * slope)
        shade = cylinder(edge, abs(y - 0.5 * (start + end)) - 0.5 * (end - start), 0.012)
        shade = max(shade, -max(edge + 0.022, start - 0.1 - y))
        stem = cylinder(rho - 0.022, abs(y - 0.5 * start - 0.02) - 0.5 * start - 0.02, 0.01)
        if kind == FLOOR_LAMP:
            if p[3] > 0.5:
                base = cylinder(rho - 0.20, abs(y - 0.018) - 0.018, 0.01)
            else:
                turn = math.atan2(z, x)
                a = (math.floor(turn / 2.0944 + p[4]) + 0.5 - p[4]) * 2.0944
                lx, lz = math.cos(a) * x + math.sin(a) * z, -math.sin(a) * x + math.cos(a) * z
                base = capsule(lx, y, lz, 0.02, 0.80, 0.0, 0.30, 0.02, 0.0, 0.020)
                stem = cylinder(rho - 0.022, abs(y - 0.86) - 0.08, 0.01)
            return 0.8 * min(shade, min(stem, base))
        if p[3] > 0.66:
            base = ellipsoid(x, y - 0.24, z, 0.16 + 0.06 * p[4], 0.24, 0.16 + 0.06 * p[4])
            base = smin(base, cylinder(rho - 0.12, abs(y - 0.02) - 0.02, 0.01), 0.05)
        elif p[3] > 0.33:
            a = math.sqrt(x * x + (y - 0.13) ** 2 + z * z) - 0.12
            b = math.sqrt(x * x + (y - 0.33) ** 2 + z * z) - 0.095
            base = smin(a, b, 0.03)
            base = min(base, cylinder(rho - 0.13, abs(y - 0.015) - 0.015, 0.008))
        else:
            base = cylinder(rho - 0.17 - 0.05 * p[4], abs(y - 0.02) - 0.02, 0.012)
        return 0.8 * min(shade, smin(stem, base, 0.04))
    if kind == DESK_LAMP:
        base = cylinder(math.sqrt((x + 0.10) ** 2 + z * z) - 0.17, abs(y - 0.02) - 0.02, 0.012)
        ex, ey = -0.24 - 0.06 * p[0], 0.48 + 0.06 * p[1]
        hx, hy = 0.12 + 0.06 * p[2], 0.84 + 0.06 * p[3]
        arms = min(
            capsule(x, y, z, -0.10, 0.03, 0.0, ex, ey, 0.0, 0.017),
            capsule(x, y, z, ex, ey, 0.0, hx, hy, 0.0, 0.017),
        )
        joint = math.sqrt((x - ex) ** 2 + (y - ey) ** 2 + z * z) - 0.034
        a = 0.35 + 0.5 * p[4]
        c, s = math.cos(a), math.sin(a)
        lx, ly = c * (x - hx) + s * (y - hy), -s * (x - hx) + c * (y - hy)
        # the head opens towards -y of its own axes
        r2 = math.sqrt(lx * lx + z * z)
        t = min(1.0, max(0.0, (0.06 - ly) / 0.26))
        edge = (r2 - 0.055 - 0.13 * math.sqrt(t)) * 0.85
        head = max(edge, abs(ly + 0.07) - 0.13)
        head = max(head, -max(edge + 0.018, ly - 0.03))
        return 0.7 * min(min(base, arms), min(joint, head))
    high = 0.62 + 0.10 * p[0]
    wide, dome = 0.32 + 0.07 * p[1], 0.20 + 0.08 * p[2]
    cap = ellipsoid(x, y - high + 0.14, z, wide, dome, wide)
    hollow = ellipsoid(x, y - high + 0.16, z, wide - 0.022, dome - 0.022, wide - 0.022)
    cap = max(cap, max(-hollow, high - 0.16 - y))
    waist = 0.055 + 0.09 * p[3] * step(0.30, 0.0, y)
    stem = cylinder(rho - waist, abs(y - 0.5 * (high - 0.05)) - 0.5 * (high - 0.05), 0.015)
    base = cylinder(rho - 0.16 - 0.03 * p[4], abs(y - 0.02) - 0.02, 0.015)
    bulb = math.sqrt(x * x + (y - high + 0.08) ** 2 + z * z) - 0.075
    return 0.7 * min(min(cap, bulb), smin(stem, base, 0.05))


@jit
def _lamp_part(kind, p, x, y, z):
    rho = math.sqrt(x * x + z * z)
    if kind in (TABLE_LAMP, FLOOR_LAMP):
        start, end, low, high = _shade_of(kind, p)
        if y < start - 0.004:
            return 1
        t = (y - start) / (end - start)
        slope = (low - high) / (end - start)
        edge = (rho - low + (low - high) * t) / math.sqrt(1.0 + slope * slope)
        if edge < -0.012:
            return 2
        if p[5] > 0.6 and (t < 0.07 or t > 0.93):
            return 3
        return 0
    if kind == DESK_LAMP:
        hx, hy = 0.12 + 0.06 * p[2], 0.84 + 0.06 * p[3]
        a = 0.35 + 0.5 * p[4]
        c, s = math.cos(a), math.sin(a)
        lx, ly = c * (x - hx) + s * (y - hy), -s * (x - hx) + c * (y - hy)
        r2 = math.sqrt(lx * lx + z * z)
        t = min(1.0, max(0.0, (0.06 - ly) / 0.26))
        edge = (r2 - 0.055 - 0.13 * math.sqrt(t)) * 0.85
        if ly < 0.065 and ly > -0.21 and edge < 0.012:
            return 2 if edge < -0.008 else 0
        return 0 if y < 0.045 and p[5] > 0.5 else 1
    high = 0.62 + 0.10 * p[0]
    wide, dome = 0.32 + 0.07 * p[1], 0.20 + 0.08 * p[2]
    if y > high - 0.162 and ellipsoid(x, y - high + 0.14, z, wide, dome, wide) > -0.012:
        return 0
    return 2 if y > high - 0.17 and rho < 0.08 else 1


@jit
def distance(kind, p, x, y, z):
    """Signed distance to shape `kind` at a point of its own frame; negative inside."""
    if kind <= HIGH_TOP:
        return _sneaker(kind, p, x, y, z)
    if kind <= BOWLING:
        return _handbag(kind, p, x, y, z)
    if kind <= LOOP:
        return _wristwatch(kind, p, x, y, z)
    if kind <= CUP:
        return _mug(kind, p, x, y, z)
    if kind <= SODA:
        return _bottle(kind, p, x, y, z)
    if kind <= COUPE:
        return _car(kind, p, x, y, z)
    if kind <= SHELL:
        return _chair(kind, p, x, y, z)
    return _lamp(kind, p, x, y, z)


@jit
def part(kind, p, x, y, z):
    """Index of the painted part at a surface point, 0 to PARTS - 1."""
    if kind <= HIGH_TOP:
        return _sneaker_part(kind, p, x, y, z)
    if kind <= BOWLING:
        return _handbag_part(kind, p, x, y, z)
    if kind <= LOOP:
        return _wristwatch_part(kind, p, x, y, z)
    if kind <= CUP:
        return _mug_part(kind, p, x, y, z)
    if kind <= SODA:
        return _bottle_part(kind, p, x, y, z)
    if kind <= COUPE:
        return _car_part(kind, p, x, y, z)
    if kind <= SHELL:
        return _chair_part(kind, p, x, y, z)
    return _lamp_part(kind, p, x, y, z)
