"""Draws product photos from a seed: `render(seed)` gives picture, instances, depth, caption.

Chooses products, paints, place, camera and light at random; knows no models and no files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import vocabulary
from .backdrops import EXTRA, GROUND, SCENE_SIZE, SHELF, STREET, SWEEP, TABLE, WALL

_LENGTH = {
    "sneaker": 1.0,
    "handbag": 0.98,
    "wristwatch": 0.95,
    "mug": 0.95,
    "bottle": 1.06,
}
_LENGTH |= {
    "car": 1.2,
    "chair": 1.05,
    "lamp": 1.05,
    "plant": 1.0,
    "ball": 0.7,
    "books": 0.8,
}
# largest extent in the shape's own units, so that every product fills a like share of the frame

_YAW = {"sneaker": 0.6, "handbag": 0.6, "wristwatch": 0.55, "mug": 0.9, "bottle": 0.5}
_YAW |= {
    "car": 0.6,
    "chair": 0.75,
    "lamp": 3.1,
    "plant": 3.1,
    "ball": 3.1,
    "books": 0.7,
}
_MIRRORED = ("sneaker", "car", "mug")  # seen from either side


@dataclass(frozen=True)
class Render:
    """A drawn photo. `image` uint8 (H, W, 3) RGB; `instances` uint8 (H, W), 0 where there is no
    product, k on product k; `depth` float32 (H, W), camera distance; `meta`: seed, caption,
    scene, products (label, colour, material, box_xyxy, instance, area) and others."""

    image: np.ndarray
    instances: np.ndarray
    depth: np.ndarray
    meta: dict[str, Any] = field(default_factory=dict)


def linear(rgb: Any) -> np.ndarray:
    """sRGB 0..255 to linear 0..1 (IEC 61966-2-1)."""
    v = np.asarray(rgb, np.float64) / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def _paint(rng: np.random.Generator, colour: str) -> np.ndarray:
    rgb = np.array(vocabulary.COLOUR_RGB[colour], float)
    return np.clip(
        linear(np.clip(rgb * rng.uniform(0.93, 1.05) + rng.normal(0, 5, 3), 8, 250)),
        0,
        1,
    )


_TYRE, _GLASS, _STEEL = (26, 26, 28), (44, 56, 70), (176, 178, 182)
_WOOD = ((150, 104, 66), (104, 66, 40), (186, 146, 102))


def _paints(kind: str, colour: str, rng: np.random.Generator) -> np.ndarray:
    """Linear colour of each part, (PARTS, 3)."""
    own = _paint(rng, colour)
    dark, light = linear((34, 34, 36)), linear((226, 226, 222))
    contrast = dark if vocabulary.COLOUR_RGB[colour][1] > 128 or colour == "white" else light
    wood, steel = linear(_WOOD[rng.integers(3)]), linear(_STEEL)
    trim = {
        "sneaker": (
            light,
            light if colour != "white" else linear((170, 172, 176)),
            light,
            dark,
        ),
        "handbag": (own * 0.55 + 0.01, own, linear((196, 160, 84)), own),
        "wristwatch": (
            steel if rng.random() < 0.6 else linear((200, 162, 84)),
            contrast,
            own,
            own,
        ),
        "mug": (contrast, light * 0.92, own, own),
        "bottle": (
            light if colour != "white" else linear((150, 152, 156)),
            wood,
            dark,
            own,
        ),
        "car": (linear(_TYRE), linear(_GLASS), steel, linear((250, 240, 214))),
        "chair": ((wood, dark, own * 0.8)[rng.integers(3)], own, own, own),
        "lamp": ((own, own, wood, steel, dark)[rng.integers(5)], own, own, own),
        "plant": (
            linear((176, 104, 74) if rng.random() < 0.5 else (214, 210, 202)),
            own,
            own,
            own,
        ),
        "ball": (light, own, own, own),
        "books": (linear(vocabulary.COLOUR_RGB[str(rng.choice(vocabulary.COLOURS))]) * 0.7,) * 4,
    }[kind]
    return np.stack([own, *trim])


_SURFACE = {  # rough, specular, metal, bump
    "matte": (0.95, 0.03, 0.0, 0.0),
    "glossy": (0.15, 0.60, 0.0, 0.0),
    "metallic": (0.35, 0.45, 0.75, 0.0),
    "leather": (0.62, 0.22, 0.0, 0.14),
    "fabric": (1.0, 0.0, 0.0, 0.22),
}


def spotlight(image: np.ndarray) -> np.ndarray:
    """The studio look: light in the middle, cool and dark towards the corners.

    float (H, W, 3) in 0..1, the same out.
    """
    size = image.shape[0]
    c = (np.arange(size) + 0.5) / size * 2 - 1
    radius = np.hypot(c[None, :], (c[:, None] + 0.05) * 0.95)
    t = np.clip((radius - 0.40) / 0.90, 0, 1)
    fall = (t * t * (3 - 2 * t))[..., None]
    tint = np.array([0.34, 0.43, 0.56])
    return np.clip(image * (1.06 * (1 - fall) + tint * fall), 0, 1)


def _scene(rng: np.random.Generator, scene: str) -> np.ndarray:
    out = np.zeros(SCENE_SIZE)
    out[EXTRA:] = rng.random(SCENE_SIZE - EXTRA)
    if scene.endswith("background"):
        colour = scene.split()[0]
        out[0] = SWEEP
        if colour == "white":
            out[WALL : WALL + 3] = linear((246, 246, 245))
        else:
            rgb = np.array(vocabulary.COLOUR_RGB[colour], float)
            soft = 1.0 if colour in ("black", "gray") else rng.uniform(0.62, 0.85)
            out[WALL : WALL + 3] = linear(np.clip(rgb * soft + 205 * (1 - soft), 18, 240))
    elif scene == "wooden table":
        out[0] = TABLE
        out[GROUND : GROUND + 3] = linear(_WOOD[rng.integers(3)]) * rng.uniform(0.9, 1.25)
        wall = ((150, 158, 160), (122, 136, 126), (168, 158, 146), (96, 104, 116))
        out[WALL : WALL + 3] = linear(wall[rng.integers(4)])
    elif scene == "shelf":
        out[0] = SHELF
        board = ((232, 230, 226), (232, 230, 226), (170, 130, 90))
        out[GROUND : GROUND + 3] = linear(board[rng.integers(3)])
        wall = ((206, 198, 186), (180, 192, 200), (196, 204, 190), (214, 202, 200))
        out[WALL : WALL + 3] = linear(wall[rng.integers(4)])
    else:
        out[0] = STREET
        out[GROUND : GROUND + 3] = linear((118, 118, 120)) * rng.uniform(0.8, 1.15)
    return out


def _pick_scene(rng: np.random.Generator) -> str:
    kind = rng.choice(5, p=(0.24, 0.28, 0.17, 0.15, 0.16))
    if kind == 1:
        return f"{rng.choice([c for c in vocabulary.COLOURS if c != 'white'])} background"
    return ("white background", "", "wooden table", "shelf", "street")[kind]


def render(
    seed: int,
    size: int = 128,
    *,
    products: int | None = None,
    label: str | None = None,
    colour: str | None = None,
    scene: str | None = None,
    others: int | None = None,
    look: str | None = None,
) -> Render:
    """Draw the photo of a seed; the same seed and constraints give the same bytes.

    `size`: side in pixels. `products`: how many (0 to 4), else drawn at random: 1 mostly,
    2 or 3 in a quarter, none in an eighth. `label`, `colour`: of the first product; `scene`:
    'white background', '<colour> background', 'wooden table', 'shelf' or 'street'. `look`:
    'spotlight' lights the product alone before a cool, dark backdrop: no picture of the training
    set looks so, it is what the LoRA `ppzmini` learns.
    """
    from . import products as shapes
    from . import ray_march

    rng = np.random.default_rng([seed, 20261121])
    scene = _pick_scene(rng) if scene is None else scene
    drawn = int(rng.choice(4, p=(0.12, 0.64, 0.16, 0.08)))
    count = drawn if products is None else products
    extra = int(rng.choice(3, p=(0.12, 0.62, 0.26)) if count == 0 else rng.random() < 0.12)
    extra = extra if others is None else others
    chosen: list[dict[str, str]] = []
    for k in range(count):
        name = label if label and k == 0 else str(rng.choice(vocabulary.CLASSES))
        paint = colour if colour and k == 0 else str(rng.choice(vocabulary.COLOURS))
        tone = scene.split()[0]
        while paint == tone and not (colour and k == 0):  # white on white is drawn on request only
            paint = str(rng.choice(vocabulary.COLOURS))
        chosen.append(
            {
                "label": name,
                "colour": paint,
                "material": str(rng.choice(vocabulary.MATERIALS)),
            }
        )
    other = [str(rng.choice(vocabulary.OTHERS)) for _ in range(extra)]

    names = [c["label"] for c in chosen] + other
    n = len(names)
    order = rng.permutation(n)
    spread = 1.0 if n < 2 else (0.80 if n == 2 else 0.66 if n == 3 else 0.56)
    things = np.zeros((n, ray_march.THING_SIZE))
    params = rng.random((n, 8))
    paints = np.zeros((n, shapes.PARTS, 3))
    total = n * spread
    for slot, k in enumerate(order):
        name = names[k]
        lead = k < len(chosen)
        scale = spread / _LENGTH[name] * rng.uniform(0.86, 1.08)
        x = (slot + 0.5) * spread - total / 2 + rng.normal(0, 0.02 * spread)
        z = rng.normal(0, 0.10 if n > 1 else 0.03)
        yaw = rng.uniform(-1, 1) * _YAW[name]
        if name in _MIRRORED and rng.random() < 0.5:
            yaw += math.pi
        surface = _SURFACE[chosen[k]["material"]] if lead else _SURFACE["matte"]
        things[k, :10] = (
            shapes.KINDS.index(name),
            x,
            z,
            yaw,
            scale,
            k + 1 if lead else 0,
            *surface,
        )
        paint = chosen[k]["colour"] if lead else str(rng.choice(vocabulary.COLOURS))
        if name == "plant":
            paint = "green"
        paints[k] = _paints(name, paint, rng)

    width = max(1.0, total * 0.94)
    tallest = max([things[k][4] * _LENGTH[names[k]] for k in range(n)], default=1.0)
    frame = max(width, tallest) / rng.uniform(0.62, 0.80)
    lift = math.radians(rng.uniform(8, 24))
    field_of_view = math.radians(24)
    away = frame / (2 * math.tan(field_of_view / 2))
    aim = np.array([rng.normal(0, 0.03), 0.42 * tallest + rng.normal(0, 0.02), 0.0]) * 1.0
    eye = aim + away * np.array([0.0, math.sin(lift), math.cos(lift)])
    forward = (aim - eye) / np.linalg.norm(aim - eye)
    right = np.cross(forward, (0, 1, 0))
    right = right / np.linalg.norm(right)
    up = np.cross(right, forward)
    cam = np.array([*eye, *right, *up, *forward, math.tan(field_of_view / 2)])

    turn = rng.uniform(0.35, 1.0) * rng.choice((-1, 1))
    high = math.radians(rng.uniform(42, 66))
    key = (
        math.sin(turn) * math.cos(high),
        math.sin(high),
        math.cos(turn) * math.cos(high),
    )
    strength = rng.uniform(0.92, 1.08)
    light = np.array([*key, 0.62 * strength, 0.36 * strength, 0.20, rng.uniform(5, 12)])

    image, instances, depth = ray_march.draw(
        things, params, shapes.BOUNDS, paints, _scene(rng, scene), light, cam, size
    )
    if look == "spotlight":
        image = spotlight(image)
    found = []
    for k, product in enumerate(chosen):
        seen = instances == k + 1
        area = int(seen.sum())
        if area:
            ys, xs = np.nonzero(seen)
            box = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]
            found.append({**product, "box_xyxy": box, "instance": k + 1, "area": area})
    left_to_right = [chosen[k] for k in order if k < len(chosen)]
    meta = {
        "seed": seed,
        "caption": vocabulary.caption(left_to_right, other, scene, rng),
        "scene": scene,
        "products": found,
        "others": other,
    }
    return Render(np.rint(image * 255).astype(np.uint8), instances, depth, meta)


def spotlit(
    first_seed: int, count: int, size: int, draw: Callable[..., Render]
) -> Iterator[Render]:
    """Single products in the look `spotlight`, on white, one class after the other, by `draw`:
    this module's `render` or that of `varied`."""
    for k in range(count):
        yield draw(
            first_seed + k,
            size,
            products=1,
            others=0,
            label=vocabulary.CLASSES[k % len(vocabulary.CLASSES)],
            scene="white background",
            look="spotlight",
        )
