"""Cars of several shapes, as signed distances with painted parts; see `variants`."""

from __future__ import annotations

import math

from .kinds import COUPE, HATCHBACK, PICKUP, SEDAN, SUV, VAN
from .primitives import box, box2, capsule, cylinder, ellipsoid, jit, smax, smin, step


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
def car(kind, p, x, y, z):
    sill, belt, roof, front, rear, sf, sr, wheel, axle, half = _car_shape(kind, p)
    az = abs(z)
    ends = 0.62 if kind != VAN else 0.60
    plan = box2(x, z, ends, half, 0.10)
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
        bed = box2(x + 0.40, z, 0.195, half - 0.03, 0.02)
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
    bumper = box2(x, z, ends + 0.012, half - 0.02, 0.10)
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
def car_part(kind, p, x, y, z):
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
    low = kind in (COUPE, HATCHBACK, SEDAN)
    if low and p[6] > 0.72 and y > belt - 0.03 and abs(az - 0.05) < 0.028:
        return 7  # racing stripes
    if y > roof - 0.045 and p[6] < 0.2:
        return 7
    return 0
