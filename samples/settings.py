"""Where a varied product stands and how it is lit, as rows for the marcher."""

from __future__ import annotations

import math

import numpy as np

from . import places, vocabulary
from .studio import linear
from .trims import WOOD

SCENES = {
    "white background": 0.19,
    "coloured background": 0.23,
    "wooden table": 0.13,
    "shelf": 0.10,
    "street": 0.10,
    "room": 0.08,
    "grass": 0.05,
    "marble table": 0.06,
    "beach": 0.03,
    "street at night": 0.03,
}
"""Places and how often each is drawn. 'random', on request, is a texture of no place at all."""


def scene_row(rng: np.random.Generator, scene: str) -> np.ndarray:
    out = np.zeros(23)
    out[7:] = rng.random(16)
    ground, wall = slice(1, 4), slice(4, 7)
    walls = (
        (150, 158, 160),
        (122, 136, 126),
        (168, 158, 146),
        (96, 104, 116),
        (206, 200, 190),
        (70, 74, 82),
    )
    plain = linear(walls[rng.integers(len(walls))]) * rng.uniform(0.85, 1.15)
    out[wall] = plain
    if scene.endswith("background"):
        out[0] = places.STUDIO
        word = scene.split()[0]
        if word == "white":
            out[wall] = linear((rng.uniform(238, 255),) * 3)
        else:
            rgb = np.array(vocabulary.COLOUR_RGB[word], float)
            soft = 1.0 if word in ("black", "gray") else rng.uniform(0.60, 0.95)
            out[wall] = linear(
                np.clip(rgb * soft + 210 * (1 - soft) + rng.normal(0, 4, 3), 16, 242)
            )
    elif scene == "wooden table":
        out[0] = places.WOOD
        out[ground] = linear(WOOD[rng.integers(len(WOOD))]) * rng.uniform(0.9, 1.25)
    elif scene == "marble table":
        out[0] = places.MARBLE
        out[ground] = linear(((232, 230, 226), (222, 220, 216), (214, 206, 196))[rng.integers(3)])
    elif scene == "shelf":
        out[0] = places.BOARD
        out[ground] = linear(
            ((232, 230, 226), (200, 164, 120), (150, 104, 66), (226, 222, 214))[rng.integers(4)]
        )
        tints = (
            (206, 198, 186),
            (180, 192, 200),
            (196, 204, 190),
            (214, 202, 200),
            (222, 220, 216),
        )
        out[wall] = linear(tints[rng.integers(len(tints))])
    elif scene == "street":
        out[0] = places.ROAD
        out[ground] = linear((112, 112, 114)) * rng.uniform(0.7, 1.25)
    elif scene == "street at night":
        out[0] = places.NIGHT
        out[ground] = linear((120, 120, 126)) * rng.uniform(0.8, 1.6)
    elif scene == "grass":
        out[0] = places.GRASS
        out[ground] = linear((92, 134, 52)) * rng.uniform(0.8, 1.2)
    elif scene == "beach":
        out[0] = places.BEACH
        out[ground] = linear((222, 200, 160)) * rng.uniform(0.9, 1.1)
    elif scene == "room":
        out[0] = places.ROOM
        floors = (*WOOD, (150, 150, 148), (196, 188, 178), (92, 96, 104))
        out[ground] = linear(floors[rng.integers(len(floors))]) * rng.uniform(0.9, 1.15)
        tints = (
            (206, 198, 186),
            (180, 192, 200),
            (196, 204, 190),
            (226, 222, 216),
            (120, 136, 140),
        )
        out[wall] = linear(tints[rng.integers(len(tints))])
    elif scene == "random":
        out[0] = places.RANDOM
        out[ground], out[wall] = rng.random(3), rng.random(3)
    else:
        raise ValueError(
            f"scene {scene!r}: expected '<colour> background', one of {list(SCENES)} or 'random'"
        )
    return out


def pick_scene(rng: np.random.Generator) -> str:
    """A place, as often as `SCENES` says."""
    scene = str(rng.choice(list(SCENES), p=np.array(list(SCENES.values())) / sum(SCENES.values())))
    if scene == "coloured background":
        scene = f"{rng.choice([c for c in vocabulary.COLOURS if c != 'white'])} background"
    return scene


def light_row(rng: np.random.Generator, scene: str, ground: np.ndarray) -> np.ndarray:
    turn = rng.uniform(0.15, 1.15) * rng.choice((-1, 1))
    high = math.radians(rng.uniform(35, 68))
    key = (math.sin(turn) * math.cos(high), math.sin(high), math.cos(turn) * math.cos(high))
    strength = rng.uniform(1.0, 1.28)
    share = rng.uniform(-0.10, 0.14)  # of the key light, against the ambient
    warm = rng.normal(0, 0.03)
    key_tint = np.array([1 + warm, 1.0, 1 - warm])
    rest_tint = np.array([1 - 0.6 * warm, 1.0, 1 + 0.6 * warm])
    if scene == "street at night":
        key_tint, rest_tint = np.array([0.95, 0.74, 0.48]) * 0.9, np.array([0.34, 0.36, 0.50])
    elif scene in ("grass", "beach", "street"):
        rest_tint = rest_tint * (0.96, 1.0, 1.06)
    return np.array(
        [*key, (0.62 + share) * strength, (0.36 - share) * strength, 0.20, rng.uniform(4, 16)]
        + [*key_tint, *rest_tint, *ground]
    )
