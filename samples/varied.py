"""Draws richer product photos than `studio`: several shapes of each class, prints, more places.

The next embedded models learn from these; the present ones know the pictures of `studio` alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import lens, prints, vocabulary
from .products import BOUNDS, KINDS
from .settings import light_row, pick_scene, scene_row
from .shapes import bodies, kinds
from .studio import _SURFACE, Render, _paint, linear, spotlight
from .trims import DARK, LIGHT, far_from, show, trim

MATERIALS = {
    "sneaker": ("leather", "fabric", "matte", "glossy"),
    "handbag": ("leather", "fabric", "matte", "glossy", "metallic"),
    "wristwatch": ("leather", "fabric", "matte", "metallic"),
    "mug": ("matte", "glossy", "metallic"),
    "bottle": ("matte", "glossy", "metallic"),
    "car": ("glossy", "metallic", "matte"),
    "chair": ("matte", "glossy", "fabric", "leather", "metallic"),
    "lamp": ("matte", "glossy", "fabric", "metallic"),
}

_YAW = {"sneaker": 0.7, "handbag": 0.6, "wristwatch": 0.45, "mug": 0.7, "bottle": 0.5}
_YAW |= {"car": 0.85, "chair": 0.85, "lamp": 0.8}
_MIRRORED = ("sneaker", "car", "mug")
_BY_CLASS = {
    label: [k for k, (name, _, _) in enumerate(kinds.KINDS) if name == label]
    for label in vocabulary.CLASSES
}
_PRINTED = {
    "sneaker": 0.12,
    "handbag": 0.25,
    "mug": 0.35,
    "bottle": 0.12,
    "chair": 0.15,
    "lamp": 0.25,
}


def _bounds() -> np.ndarray:
    out = np.zeros((bodies.FIRST + len(bodies.KINDS), 3))
    out[: len(BOUNDS)] = BOUNDS
    for k, (_, _, bound) in enumerate(kinds.KINDS):
        out[kinds.FIRST + k] = bound
    for k, (_, bound) in enumerate(bodies.KINDS):
        out[bodies.FIRST + k] = bound
    return out


_BOUNDS = _bounds()


def _camera(
    rng: np.random.Generator, width: float, tallest: float, wide: bool
) -> tuple[np.ndarray, float]:
    """The camera's row for the marcher, and its distance from what it looks at."""
    share = rng.uniform(0.35, 0.95) if wide else rng.uniform(0.56, 0.80)
    if rng.random() < 0.2:  # close, as stage 3 sees a product
        share = rng.uniform(0.80, 0.92)
    frame = max(width, tallest) / share
    lift = math.radians(rng.uniform(2, 60) if wide else rng.uniform(6, 30))
    angle = math.radians(rng.uniform(16, 45) if wide else rng.uniform(20, 32))
    away = frame / (2 * math.tan(angle / 2))
    off = 0.10 if wide else 0.03
    aim = np.array([rng.normal(0, off), 0.46 * tallest + rng.normal(0, off), 0.0])
    eye = aim + away * np.array([0.0, math.sin(lift), math.cos(lift)])
    forward = (aim - eye) / np.linalg.norm(aim - eye)
    right = np.cross(forward, (0, 1, 0))
    right = right / np.linalg.norm(right)
    up = np.cross(right, forward)
    roll = rng.normal(0, 0.09 if wide else 0.02)
    right, up = (
        math.cos(roll) * right + math.sin(roll) * up,
        -math.sin(roll) * right + math.cos(roll) * up,
    )
    return np.array([*eye, *right, *up, *forward, math.tan(angle / 2)]), away


def _product(
    rng: np.random.Generator, label: str, colour: str, shape: str | None
) -> tuple[dict[str, Any], int, np.ndarray, np.ndarray, np.ndarray]:
    """(what a caption says, kind, parameters (24,), paints (PARTS, 4), print's five columns)."""
    choices = [k for k in _BY_CLASS[label] if shape is None or kinds.KINDS[k][1] == shape]
    if not choices:
        raise ValueError(
            f"shape {shape!r} of {label}: expected one of "
            f"{[kinds.KINDS[k][1] for k in _BY_CLASS[label]]}"
        )
    kind = kinds.FIRST + int(rng.choice(choices))
    p = rng.random(24)
    paints, parts = trim(kind, label, colour, p, rng)
    row: dict[str, Any] = {
        "label": label,
        "colour": colour,
        "material": str(rng.choice(MATERIALS[label])),
        "shape": kinds.KINDS[kind - kinds.FIRST][1],
    }
    texture = np.zeros(5)
    second = far_from(colour, rng)
    if rng.random() < _PRINTED.get(label, 0.0):
        which = int(rng.integers(1, len(prints.NAMES)))
        scale = rng.uniform(4, 11) if which != prints.CLOUDS else rng.uniform(3, 6)
        tint = (
            _paint(rng, second) if prints.NAMES[which] else paints[0, :3] * rng.uniform(0.55, 0.8)
        )
        texture[:] = (which, scale, *tint)
        if prints.NAMES[which]:
            row["detail"] = f"{second} {prints.NAMES[which]}"
    elif parts and rng.random() < 0.45:
        word = str(rng.choice(list(parts)))
        show(word, label, p)
        paints[parts[word], :3] = _paint(rng, second)
        if label == "wristwatch":  # marks that can be seen on the new dial
            bright = float(paints[3, :3].mean()) > 0.25
            paints[2, :3] = linear(DARK if bright else LIGHT)
            paints[5, :3] = paints[3, :3] * (0.75 if bright else 1.5)
        row["detail"] = f"{second} {word}"
    return row, kind, p, paints, texture


def render(
    seed: int,
    size: int = 256,
    *,
    products: int | None = None,
    label: str | None = None,
    colour: str | None = None,
    scene: str | None = None,
    others: int | None = None,
    shape: str | None = None,
    wide: bool = False,
    strange: bool = False,
    look: str | None = None,
) -> Render:
    """Draw the photo of a seed; the same seed and constraints give the same bytes.

    Args:
        seed: Any number; see the recipe's `rendered_pictures.SEEDS` for who draws which.
        size: Side in pixels.
        products: How many, 0 to 4; None: one mostly, two or three in a quarter, none in an eighth.
        label: Class of the first product.
        colour: Colour word of the first product.
        scene: '<colour> background', another of `settings.SCENES`, or 'random'.
        others: How many things that are no products; None: at random, few.
        shape: Shape of the first product, such as 'tote': see `kinds.KINDS`.
        wide: More of the cameras that no product photographer would choose.
        strange: Things that are no products are any of `bodies`, not only the plant, the ball and
            the books that captions name; they get instances after those of the products, and rows
            in `meta["bodies"]`.
        look: 'spotlight': that of the LoRA `ppzmini`, see `studio.spotlight`.

    Raises:
        ValueError: An unknown scene or shape.
    """
    from . import ray_march

    rng = np.random.default_rng([seed, 20261126])
    scene = pick_scene(rng) if scene is None else scene
    drawn = int(rng.choice(4, p=(0.12, 0.64, 0.16, 0.08)))
    count = drawn if products is None else products
    extra = int(rng.choice(3, p=(0.12, 0.60, 0.28)) if count == 0 else rng.random() < 0.14)
    extra = extra if others is None else others
    n = count + extra
    spread = 1.0 if n < 2 else (0.80 if n == 2 else 0.66 if n == 3 else 0.56)
    things = np.zeros((n, ray_march.THING_SIZE))
    params = np.zeros((n, 24))
    paints = np.zeros((n, kinds.PARTS, 4))
    order = rng.permutation(n)
    total = n * spread
    chosen: list[dict[str, Any]] = []
    names: list[str] = []
    tallest = 0.3
    for k in range(n):
        slot = int(np.flatnonzero(order == k)[0])
        surface: tuple[float, ...]
        if k < count:
            name, paint = str(rng.choice(vocabulary.CLASSES)), str(rng.choice(vocabulary.COLOURS))
            while paint == scene.split()[0]:  # white on white is drawn on request only
                paint = str(rng.choice(vocabulary.COLOURS))
            if k == 0:  # what is asked for comes after what is drawn: all else stays as it was
                name, paint = label or name, colour or paint
            row, kind, p, q, texture = _product(rng, name, paint, shape if k == 0 else None)
            chosen.append(row)
            rough, gloss, metal, bump = _SURFACE[row["material"]]
            surface = (rough, gloss, metal, 0.6 * bump)
            yaw = rng.uniform(-1, 1) * _YAW[name] * (1.6 if wide else 1.0)
            if (name in _MIRRORED or row["shape"] == "desk") and rng.random() < 0.5:
                yaw += math.pi
            glow = rng.uniform(0.15, 0.6) if name == "lamp" and rng.random() < 0.35 else 0.0
        else:
            name, kind, q = _body(rng, strange)
            names.append(name)
            p = rng.random(24)
            surface = _SURFACE[str(rng.choice(vocabulary.MATERIALS))]
            yaw = (
                rng.uniform(-math.pi, math.pi) if name not in ("clock",) else rng.uniform(-0.6, 0.6)
            )
            texture, glow = np.zeros(5), 0.0
            if rng.random() < 0.4:
                which = int(rng.integers(1, len(prints.NAMES)))
                texture[:] = (which, rng.uniform(3, 12), *rng.random(3))
        bound = _BOUNDS[kind]
        length = max(1.86 * bound[0], 0.95 * bound[1])
        scale = spread / length * rng.uniform(0.86, 1.08)
        x = (slot + 0.5) * spread - total / 2 + rng.normal(0, 0.02 * spread)
        z = rng.normal(0, 0.10 if n > 1 else 0.03)
        if wide and n > 1:  # strewn about, not in a row
            x, z = 0.75 * x + rng.normal(0, 0.1), rng.uniform(-0.8, 0.5)
        number = k + 1 if k < count else 100 + k - count
        things[k] = (kind, x, z, yaw, scale, number, *surface, *texture, glow)
        params[k], paints[k] = p, q
        tallest = max(tallest, scale * bound[1] * 0.95)

    cam, away = _camera(rng, max(0.9, total * 0.94), max(tallest, 0.7 if n else 1.0), wide)
    place = scene_row(rng, scene)
    ground = place[1:4] if not scene.endswith("background") else place[4:7]
    light = light_row(rng, scene, ground)
    image, instances, depth = ray_march.draw(
        things, params, _BOUNDS, paints, place, light, cam, size
    )
    blur = rng.uniform(0.004, 0.022) if rng.random() < 0.6 else 0.0
    if blur and not scene.endswith("background"):
        image = lens.depth_of_field(image, depth, instances > 0, away + 0.35, blur)
    image = lens.develop(image, rng)
    if look == "spotlight":
        image = spotlight(image)

    other_rows = []
    for k in range(extra):
        seen = instances == 100 + k
        instances[seen] = count + 1 + k if strange else 0
        if strange and seen.any():
            other_rows.append({"name": names[k], **_where(seen), "instance": count + 1 + k})
    found = []
    for k, row in enumerate(chosen):
        seen = instances == k + 1
        if seen.any():
            found.append({**row, **_where(seen), "instance": k + 1})
    left_to_right = [chosen[k] for k in order if k < count]
    meta = {
        "seed": seed,
        "caption": vocabulary.caption(left_to_right, names, scene, rng),
        "scene": scene,
        "products": found,
        "others": names,
    }
    if strange:
        meta["bodies"] = other_rows
    return Render(np.rint(image * 255).astype(np.uint8), instances, depth, meta)


_NAMED = vocabulary.OTHERS


def _where(seen: np.ndarray) -> dict[str, Any]:
    ys, xs = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    box = [int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1]
    return {"box_xyxy": box, "area": int(seen.sum())}


def _body(rng: np.random.Generator, strange: bool) -> tuple[str, int, np.ndarray]:
    """(name, kind, paints (PARTS, 4)) of something that is no product."""
    which = int(rng.integers(-len(_NAMED), len(bodies.KINDS) if strange else 0))
    paints = np.zeros((kinds.PARTS, 4))
    paints[:, :3] = rng.random((kinds.PARTS, 3)) ** 1.6
    paints[:, 3] = 0.2
    if which < 0:
        name = _NAMED[which]
        kind = KINDS.index(name)
        if name == "plant":
            paints[0, :3] = linear((60, 130, 60)) * rng.uniform(0.6, 1.3)
        return name, kind, paints
    name = bodies.KINDS[which][0]
    true = {
        "apple": ((190, 30, 30), (110, 76, 46)),
        "pear": ((180, 190, 70), (110, 76, 46)),
        "banana": ((236, 200, 60), (110, 90, 40)),
        "tree": ((60, 110, 50), (96, 70, 46)),
        "cone": ((238, 110, 30), (235, 235, 232)),
        "carton": ((186, 146, 102), (206, 180, 140)),
        "clock": ((60, 60, 64), (240, 240, 236), (20, 20, 22)),
        "tower": ((150, 140, 130), (150, 140, 130), (90, 90, 90), (50, 66, 84)),
        "duck": ((240, 206, 40), (238, 122, 22), (10, 10, 10)),
        "candle": ((236, 226, 206), (255, 200, 90)),
    }.get(name)
    if true and rng.random() < 0.6:
        for j, rgb in enumerate(true):
            paints[j, :3] = linear(rgb) * rng.uniform(0.7, 1.2)
    return name, bodies.FIRST + which, paints
