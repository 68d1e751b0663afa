"""The paints of a varied product: its main colour, its trim, and which parts a caption may name."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import vocabulary
from .shapes import kinds
from .studio import _paint, linear

WOOD = ((150, 104, 66), (104, 66, 40), (186, 146, 102), (70, 46, 32), (204, 170, 128))
LIGHT, DARK = (232, 232, 228), (30, 30, 33)
STEEL, GOLD, ROSE, GUM = (184, 187, 192), (206, 166, 86), (206, 150, 128), (170, 118, 70)


def far_from(colour: str, rng: np.random.Generator) -> str:
    """Another colour word."""
    return str(rng.choice([c for c in vocabulary.COLOURS if c != colour]))


def trim(
    kind: int, label: str, colour: str, p: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, int]]:
    """Linear colour and gloss of each part (PARTS, 4), and the parts that a caption may name.

    `p`, the shape's parameters, may be changed so that such a part is seen.
    """
    own = _paint(rng, colour)
    light, dark = linear(LIGHT), linear(DARK)
    pale = colour in ("white", "yellow", "pink", "gray")
    contrast = dark if pale else light

    def pick(*options: Any) -> np.ndarray:
        chosen = options[int(rng.integers(len(options)))]
        return linear(chosen) if isinstance(chosen, tuple) else chosen

    rows = [(own, 0.2)] * kinds.PARTS
    parts: dict[str, int] = {}
    wood = linear(WOOD[rng.integers(len(WOOD))])
    metal = pick(STEEL, STEEL, GOLD, DARK)
    if label == "sneaker":
        sole = (
            pick(light, light, light, GUM, DARK, own)
            if colour != "white"
            else pick(light, GUM, DARK, (150, 152, 156))
        )
        rows[1], rows[6] = (sole, 0.08), (pick(sole, GUM, DARK), 0.05)
        rows[2] = (pick(light, light, contrast, own * 0.9), 0.02)
        rows[3] = (pick(contrast, contrast, light, dark), 0.1)
        rows[4] = (pick(DARK, (90, 86, 82), own * 0.3), 0.0)
        rows[5] = (pick(own, own * 0.7, contrast), 0.02)
        rows[7] = (pick(own * 0.7, contrast, sole), 0.05)
        parts = {"sole": 1, "laces": 2}
    elif label == "handbag":
        rows[1] = (pick(own * 0.75, own * 0.75, (110, 70, 42), DARK), 0.15)
        rows[2] = (pick(GOLD, GOLD, STEEL), 0.7)
        rows[3] = (pick(own, own * 0.85, own * 0.7), 0.2)
        rows[4] = (contrast, 0.0)
        rows[5] = (pick(DARK, (150, 130, 108)), 0.0)
        several = kind in (kinds.TOTE, kinds.BOWLING)
        parts = {"handles" if several else "strap": 1}
        if kind == kinds.FLAP:
            parts["flap"] = 3
    elif label == "wristwatch":
        case = pick(STEEL, STEEL, GOLD, ROSE, DARK)
        dial = pick(light, light, DARK, own)
        bright = float(dial.mean()) > 0.25
        rows[1] = (case, 0.6)
        rows[2] = (pick(DARK, DARK, case * 0.5) if bright else pick(light, light, STEEL), 0.1)
        rows[3] = (dial, 0.15)
        rows[5] = (dial * (0.75 if bright else 1.6) + (0 if bright else 0.02), 0.1)
        screen = rng.random() < 0.5
        rows[4] = (linear((150, 162, 146) if screen else (16, 18, 22)), 0.3)
        rows[6] = (linear((24, 26, 24) if screen else (190, 230, 240)), 0.0)
        if kind != kinds.SQUARE or p[4] <= 0.45:
            rows[6] = (pick((200, 32, 34), (200, 32, 34), dark if bright else light), 0.0)
            parts = {"dial": 3}
        rows[7] = (pick(DARK, own, case * 0.6), 0.3)
    elif label == "mug":
        rows[1] = (contrast, 0.2)
        rows[2] = (pick(light, light, own), 0.3)
        rows[3] = (own, 0.25)
        rows[5] = (rows[2][0] * 0.85, 0.2)
        parts = {"handle": 3, "band": 1}
    elif label == "bottle":
        rows[1] = (pick(light, (226, 212, 180), contrast), 0.05)
        rows[2] = (pick(DARK, GOLD, contrast, wood, own * 0.7), 0.3)
        rows[3] = (pick(own, DARK, GOLD), 0.05)
        parts = {"cap": 2} if kind == kinds.SPORT else {"cap": 2, "label": 1}
    elif label == "car":
        rows[1] = (linear((24, 24, 26)), 0.03)
        rows[2] = (linear((26, 34, 42)), 0.85)
        rows[3] = (pick(STEEL, STEEL, (110, 112, 116)), 0.6)
        rows[4] = (linear((250, 246, 230)), 0.7)
        rows[5] = (linear((190, 20, 22)), 0.4)
        rows[6] = (linear((20, 20, 22)), 0.1)
        rows[7] = (contrast, 0.4)
        parts = {"roof": 7}
        if kind in (kinds.COUPE, kinds.HATCHBACK, kinds.SEDAN):
            parts["stripes"] = 7
    elif label == "chair":
        rows[1] = (pick(wood, wood, DARK, STEEL, own * 0.8), 0.2)
        if kind == kinds.OFFICE:
            rows[1] = (pick(DARK, DARK, STEEL), 0.25)
        rows[2] = (pick(own * 0.85, light, dark, wood), 0.02)
        parts = {"legs": 1} if kind != kinds.OFFICE else {}
        if kind in (kinds.DINING, kinds.ARMCHAIR):
            parts["cushion"] = 2
    else:
        rows[1] = (pick(metal, wood, DARK, own * 0.85, light), 0.3)
        rows[2] = (linear((255, 244, 220)), 0.0)
        rows[3] = (pick(contrast, metal, own * 0.6), 0.2)
        parts = {"base": 1}
    return np.array([[*c, g] for c, g in rows]), parts


def show(word: str, label: str, p: np.ndarray) -> None:
    """Set the shape's parameters so that the named part is there."""
    if word == "band":
        p[4] = 0.8
    elif word == "label":
        p[4] = 0.7
    elif word == "roof":
        p[6] = 0.1
    elif word == "stripes" and label == "car":
        p[6] = 0.9
    elif word == "cushion":
        p[5] = 0.8
