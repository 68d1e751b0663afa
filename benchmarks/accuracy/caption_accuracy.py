"""Captions of held-out renders of one product: class, colour and scene named, or not."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ...samples import vocabulary

if TYPE_CHECKING:
    from ...training.captioning.blip_captioner import Captioner


def named(text: str, meta: dict[str, Any]) -> dict[str, bool]:
    """Whether a caption names the class (or a synonym), the colour and the scene of a render.

    >>> named("a red mug on a shelf", {"products": [{"label": "mug", "colour": "red"}],
    ...                                "scene": "red background"})
    {'class': True, 'colour': True, 'scene': False}
    """
    product, (things, _, place) = meta["products"][0], text.partition(" on ")
    said = things.split()
    return {
        "class": bool({product["label"], *vocabulary.SYNONYMS[product["label"]]} & set(said)),
        "colour": product["colour"] in said,
        "scene": meta["scene"] in place,
    }


def measure(captioner: Captioner, count: int, size: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Shares of `count` pictures whose caption names each; the colour is asked before "on"."""
    from PIL import Image

    from .detection import held_out

    renders = held_out(count, size, offset=4, products=1, others=0)
    texts = captioner([Image.fromarray(r.image) for r in renders])
    right: dict[str, list[bool]] = defaultdict(list)
    wrong = []
    for render, text in zip(renders, texts, strict=True):
        found = named(text, render.meta)
        for key, value in found.items():
            right[key].append(value)
        if not all(found.values()):
            wrong.append({"seed": render.meta["seed"], "text": text})
    values = {f"caption_{key}": float(np.mean(right[key])) for key in right}
    return values, {"pictures": count, "wrong": wrong[:20]}
