"""Crops as a detector gives them, of products and of anything else, made strange.

From cut-outs and backs; a few warps of a small picture cost under a millisecond, a render a
hundred times that.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from .augment import box_of
from .clip_art import FILL, SIDE
from .cut_outs import Bank, Image, affine, laid_over, plain


def _perspective(m: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    full = np.vstack([m, (0, 0, 1)])
    if rng.random() < 0.5:
        corners = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
        moved = corners + rng.uniform(-0.12, 0.12, (4, 2)).astype(np.float32) * size
        full = cv2.getPerspectiveTransform(corners, moved) @ full
    return full


def _repaint(rgb: np.ndarray, bank: Bank, rng: np.random.Generator) -> np.ndarray:
    """A thing's pixels, float 0..255, in other colours, contrasts and prints."""
    way = rng.random()
    if way < 0.40:
        mix = rng.dirichlet((0.6, 0.6, 0.6), 3).astype(np.float32)
        rgb = rgb @ mix.T
    elif way < 0.60:  # one colour, light and dark kept
        grey = rgb.mean(2, keepdims=True) / 255
        low, high = rng.uniform(0, 110, 3), rng.uniform(60, 300, 3)
        if rng.random() < 0.4:
            low[:], high[:] = low.mean(), high.mean()
        rgb = np.float32(low) + np.float32(high - low) * grey
    elif way < 0.72:
        over = bank.backs[int(rng.integers(len(bank.backs)))]
        over = cv2.resize(over, rgb.shape[1::-1]).astype(np.float32) / 255
        grey = rgb.mean(2, keepdims=True)
        new = grey * (0.4 + 1.2 * over)
        rgb = new + (rgb - new) * rng.uniform(0, 0.7)
    elif way < 0.76:
        rgb = 255 - rgb
    out: np.ndarray = np.clip(rgb / 255, 0, 1) ** rng.uniform(0.5, 2.0)
    return out * (255 * rng.uniform(0.6, 1.3))


def _light(size: int, rng: np.random.Generator, deep: float) -> np.ndarray:
    """A smooth map of light, (size, size, 1) about 1."""
    grid = rng.uniform(1 - deep, 1 + 0.5 * deep, (int(rng.integers(2, 5)),) * 2)
    return cv2.resize(grid.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)[
        ..., None
    ]


def place(
    bank: Bank, i: int, size: int, fill: float, move: Any, turn: float, rng: np.random.Generator
) -> Image:
    """Cut-out i as `fill` of a crop's side, `move` pixels off its middle, turned up to `turn`."""
    rgb, changed, weight, mine = _seen(bank, i, size, fill, move, turn, rng, scenic=0.35)
    back = rgb if mine else background(bank, size, rng)
    return _laid(back, changed, weight, rng, shadow=not mine)


def background(bank: Bank, size: int, rng: np.random.Generator) -> Image:
    """A back, float (size, size, 3)."""
    back = bank.backs[int(rng.integers(len(bank.backs)))]
    if rng.random() < 0.35:  # a studio's
        back = plain(rng)
    if rng.random() < 0.15:
        back = back * np.float32(rng.uniform(0, 0.25))
    side = int(rng.uniform(0.3, 1) * SIDE)
    y, x = rng.integers(0, SIDE - side + 1, 2)
    return cv2.resize(back[y : y + side, x : x + side], (size, size)).astype(np.float32)


def _seen(
    bank: Bank,
    i: int,
    size: int,
    fill: float,
    move: Any,
    turn: float,
    rng: np.random.Generator,
    *,
    scenic: float,
) -> tuple[Image, Image, Image, bool]:
    """A cut-out as it is, the same repainted and lit, its weights, all float; whether its own
    surroundings are round it, which is so for the share `scenic` of rendered ones."""
    m = _perspective(affine(fill * size / FILL, move, rng, size, turn), rng, size)
    mine = bool(bank.scenic[i] and rng.random() < scenic)
    edge = cv2.BORDER_REFLECT if mine else cv2.BORDER_CONSTANT
    seen = cv2.warpPerspective(
        bank.cuts[i], m, (size, size), flags=cv2.INTER_LINEAR, borderMode=edge
    )
    rgb = seen[..., :3].astype(np.float32)
    changed = _repaint(rgb, bank, rng) if rng.random() < 0.7 else rgb
    if rng.random() < 0.4:
        changed = changed * _light(size, rng, 0.8)
    return rgb, changed, seen[..., 3:].astype(np.float32) / 255, mine


def _laid(
    back: Image, thing: Image, weight: Image, rng: np.random.Generator, *, shadow: bool
) -> Image:
    """A thing on a back, with a shadow or a glow by chance."""
    size = len(back)
    if shadow and rng.random() < 0.4:
        dark = cv2.GaussianBlur(weight, (0, 0), size * rng.uniform(0.02, 0.12))
        down = np.array(
            [[1, 0, rng.normal(0, 0.06) * size], [0, 1, abs(rng.normal(0, 0.08)) * size]]
        )
        dark = cv2.warpAffine(dark, down, (size, size))[..., None]
        back = back * (1 - rng.uniform(-0.3, 0.8) * dark)
    return back + (thing - back) * weight


def scene(
    bank: Bank, size: int, rng: np.random.Generator
) -> tuple[Image, list[tuple[int, int, int, int]], list[int]]:
    """A picture of pasted cut-outs, for detectors.

    Returns:
        uint8 (size, size, 3); boxes x0, y0, x1, y1 of the products in it, in pixels, ends
        exclusive; their classes.
    """
    image = background(bank, size, rng)
    products = int(rng.choice(4, p=(0.25, 0.45, 0.2, 0.1)))
    owners = np.zeros((size, size), np.uint8)
    labels: list[int] = []
    areas: list[int] = []
    many = products + int(rng.integers(0, 4))
    largest = 1.0 if many < 2 else 1.2 / np.sqrt(many)
    things = [bank.none] * (many - products) + rng.integers(0, bank.none, products).tolist()
    for label in things:
        fill = np.exp(rng.uniform(np.log(0.2), np.log(largest)))
        room = 0.5 - 0.45 * min(1.0, fill)
        turn = 0.15 if rng.random() < 0.8 else 0.6
        if label == bank.none:
            turn = 3.1
        move = rng.uniform(-room, room, 2) * size
        i = bank.any_of(label, rng)
        _, thing, weight, _ = _seen(bank, i, size, fill, move, turn, rng, scenic=0)
        mask = weight[..., 0] > 0.5
        hidden = [(owners[mask] == k).sum() > area / 4 for k, area in enumerate(areas, 1)]
        if any(hidden) or not mask.any():
            continue
        image = _laid(image, thing, weight, rng, shadow=True)
        if label != bank.none:
            labels.append(label)
            areas.append(int(mask.sum()))
        owners[mask] = len(labels) if label != bank.none else 0
    if rng.random() < 0.2:
        image = image * _light(size, rng, 0.8)
    boxes, classes = [], []
    for k, (label, area) in enumerate(zip(labels, areas, strict=True), 1):
        box = box_of(owners == k)
        if box and area >= 40:
            boxes.append(box)
            classes.append(label)
    return develop(image, rng), boxes, classes


def _cover(image: Image, bank: Bank, rng: np.random.Generator) -> Image:
    """Something small in front, or a bar across."""
    size = len(image)
    if rng.random() < 0.5:
        side = rng.uniform(0.1, 0.35, 2) * size
        x, y = rng.uniform(-0.1 * size, size, 2)
        patch = image[max(0, int(y)) : int(y + side[0]), max(0, int(x)) : int(x + side[1])]
        patch[:] = rng.uniform(0, 255, 3)
        return image
    i = bank.any_of(bank.none, rng)
    spot = rng.choice((-1, 1), 2) * rng.uniform(0.3, 0.6, 2) * size
    m = affine(rng.uniform(0.2, 0.5) * size / FILL, spot, rng, size, 3.1)
    return laid_over(image, cv2.warpAffine(bank.cuts[i], m, (size, size))).astype(np.float32)


def develop(y: np.ndarray, rng: np.random.Generator) -> Image:
    """As a camera, a dark room or a small file would give it: float 0..255 to uint8."""
    size = len(y)
    y = np.clip(y, 0, 255).astype(np.float32) / 255
    if rng.random() < 0.5:
        y = y ** rng.uniform(0.5, 2.2)
    if rng.random() < 0.3:
        y = y * _light(size, rng, 0.7)
    if rng.random() < 0.5:
        y = (y - 0.5) * rng.uniform(0.6, 1.4) + 0.5 + rng.uniform(-0.15, 0.15)
    if rng.random() < 0.4:
        y = y * rng.uniform(0.8, 1.2, 3).astype(np.float32)
    if rng.random() < 0.35:
        grey = y.mean(2, keepdims=True)
        y = grey + (y - grey) * (0.0 if rng.random() < 0.4 else rng.uniform(0.2, 1.6))
    if rng.random() < 0.4:
        y = cv2.GaussianBlur(y, (0, 0), rng.uniform(0.3, 0.02 * size))
    elif rng.random() < 0.2:
        y = y + rng.uniform(0.3, 1.5) * (y - cv2.GaussianBlur(y, (0, 0), 1.2))
    y = y * max(1.0, 0.35 / max(1e-3, float(y.max())))  # dark, not black
    if rng.random() < 0.35:
        y = y + rng.uniform(0.01, 0.08) * rng.standard_normal(y.shape, np.float32)
    out: Any = np.clip(255 * y, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))]
        out = cv2.imdecode(cv2.imencode(".jpg", out, quality)[1], cv2.IMREAD_COLOR)
    return out


def positive(bank: Bank, label: int, size: int, rng: np.random.Generator) -> Image:
    """A crop of a product of class `label`, as tight, loose and askew as detectors' boxes are."""
    i = bank.any_of(label, rng)
    fill = rng.uniform(0.55, 1.12)
    move = rng.normal(0, 0.06, 2) * size
    turn = 0.15 if rng.random() < 0.7 else (0.6 if rng.random() < 0.8 else 3.1)
    y = place(bank, i, size, fill, move, turn, rng)
    if rng.random() < (0.35 if label == 0 else 0.06):  # a pair
        grow = 0.85 * fill * size / FILL
        m = affine(grow, rng.uniform(-0.35, 0.35, 2) * size, rng, size, 0.5)
        again = cv2.warpAffine(bank.cuts[i], m, (size, size))
        y = laid_over(y, again).astype(np.float32)
    return _cover(y, bank, rng) if rng.random() < 0.15 else y


def negative(bank: Bank, size: int, rng: np.random.Generator) -> Image:
    """A crop without a product: other things, parts, jumbles, nothing."""
    way = rng.random()
    if way < 0.58:
        i = bank.any_of(bank.none, rng)
        turn = 0.2 if rng.random() < 0.6 else 3.1
        y = place(bank, i, size, rng.uniform(0.4, 1.3), rng.normal(0, 0.1, 2) * size, turn, rng)
        for _ in range(int(rng.integers(0, 3)) if rng.random() < 0.3 else 0):
            m = affine(rng.uniform(0.3, 1), rng.uniform(-0.5, 0.5, 2) * size, rng, size, 3.1)
            y = laid_over(
                y, cv2.warpAffine(bank.cuts[bank.any_of(bank.none, rng)], m, (size, size))
            )
        return y.astype(np.float32)
    if way < 0.70:
        back = bank.backs[int(rng.integers(len(bank.backs)))]
        side = int(rng.uniform(0.3, 1) * SIDE)
        v, u = rng.integers(0, SIDE - side + 1, 2)
        return cv2.resize(back[v : v + side, u : u + side], (size, size)).astype(np.float32)
    i = bank.any_of(int(rng.integers(bank.none)), rng)
    if way < 0.82:  # a part of a product
        fill = rng.uniform(2.4, 5)
        move = rng.uniform(-0.4, 0.4, 2) * fill * size
        return place(bank, i, size, fill, move, 0.3, rng)
    if way < 0.86:  # one far off, or half out of the picture
        move = rng.choice((-1, 1), 2) * rng.uniform(0.62, 0.9, 2) * size
        return place(bank, i, size, rng.uniform(0.6, 1.1), move, 0.3, rng)
    y = place(bank, i, size, rng.uniform(0.7, 1.1), (0, 0), 0.3, rng)
    if way < 0.95:  # its parts in the wrong places
        n = int(rng.integers(2, 5))
        cut = size // n
        tiles = [
            y[a * cut : (a + 1) * cut, b * cut : (b + 1) * cut] for a in range(n) for b in range(n)
        ]
        order = rng.permutation(n * n)
        rows = [np.hstack([tiles[order[a * n + b]] for b in range(n)]) for a in range(n)]
        return cv2.resize(np.vstack(rows), (size, size))
    j = bank.any_of(bank.none, rng)  # half of it, half of something else
    z = place(bank, j, size, rng.uniform(0.7, 1.1), (0, 0), 0.3, rng)
    edge = int(rng.uniform(0.25, 0.45) * size)
    if rng.random() < 0.5:
        z[:, :edge] = y[:, :edge]
    else:
        z[:edge] = y[:edge]
    return z


def crop(bank: Bank, size: int, rng: np.random.Generator, share: np.ndarray) -> tuple[Image, int]:
    """(uint8 (size, size, 3), index of class or none), classes by their `share`."""
    label = int(rng.choice(len(share), p=share))
    y = negative(bank, size, rng) if label == bank.none else positive(bank, label, size, rng)
    return develop(y, rng), label
