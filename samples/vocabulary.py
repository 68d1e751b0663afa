"""The words of the studio: classes, colours, materials, scenes, and captions made of them.

Knows no pixels. The embedded models are trained on these words and know no others.
"""

from __future__ import annotations

import numpy as np

CLASSES = ("sneaker", "handbag", "wristwatch", "mug", "bottle", "car", "chair", "lamp")
SYNONYMS: dict[str, tuple[str, ...]] = {
    "sneaker": ("shoe",),
    "handbag": ("bag", "purse"),
    "wristwatch": ("watch",),
    "mug": ("cup",),
    "bottle": ("flask",),
    "car": ("automobile",),
    "chair": ("seat",),
    "lamp": (),
}
OTHERS = ("plant", "ball", "books")
MATERIALS = ("matte", "glossy", "metallic", "leather", "fabric")
SCENES = ("white background", "coloured background", "wooden table", "shelf", "street")
TAGS = ("stylish", "studio photography", "product photography", "ultra realistic")

COLOUR_RGB: dict[str, tuple[int, int, int]] = {
    "red": (200, 32, 34),
    "orange": (238, 122, 22),
    "yellow": (240, 206, 40),
    "green": (44, 146, 62),
    "teal": (24, 150, 148),
    "blue": (38, 78, 200),
    "purple": (122, 50, 168),
    "pink": (238, 130, 172),
    "brown": (122, 74, 40),
    "black": (30, 30, 32),
    "white": (238, 238, 236),
    "gray": (132, 134, 137),
}
"""sRGB, 0 to 255: the paint of each colour word."""
COLOURS = tuple(COLOUR_RGB)


_PLACED = {
    "grass": "on grass",
    "room": "in a room",
    "street at night": "on a street at night",
}
"""Where a sentence needs other words than "on a ..."."""


def _article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def placed(scene: str) -> str:
    """Where something is, in words.

    >>> placed("blue background"), placed("grass")
    ('on a blue background', 'on grass')
    """
    return _PLACED.get(scene, f"on {_article(scene)}")


def caption(
    products: list[dict[str, str]],
    others: list[str],
    scene: str,
    rng: np.random.Generator,
) -> str:
    """Words for a picture, now a sentence, now a list of tags.

    `products`: dicts with label, colour, material and, where a second colour is named, detail
    ('white band'); `scene`: 'street', 'blue background', …
    The tags of product photography are strewn in at random and mean nothing, so that a
    prompt that carries them stays inside what the text encoder has seen.
    """

    def noun(product: dict[str, str]) -> str:
        name = product["label"]
        if SYNONYMS[name] and rng.random() < 0.15:
            name = str(rng.choice(SYNONYMS[name]))
        words = [name]
        if rng.random() < 0.5:
            words.insert(0, product["material"])
        if rng.random() < 0.93:
            words.insert(0, product["colour"])
        if product.get("detail") and rng.random() < 0.85:
            detail = product["detail"]
            words.append("with " + (detail if detail.endswith("s") else _article(detail)))
        return " ".join(words)

    things = [noun(p) for p in products]
    things += [t for t in others if not products or rng.random() < 0.7]
    sentence, tag = placed(scene), scene
    shown = rng.random() < 0.9
    if rng.random() < 0.45:
        if things:
            named = " and ".join("books" if t == "books" else _article(t) for t in things)
            text = f"{named} {sentence}" if shown else named
        else:
            text = f"an empty {scene}"
        return f"a photo of {text}" if rng.random() < 0.3 else text
    tags = list(things) if things else ["empty"]
    extra = [t for t in TAGS if rng.random() < 0.4]
    if shown:
        extra.insert(int(rng.integers(len(extra) + 1)), tag)
    return ", ".join(tags + extra)


def words() -> dict[str, object]:
    """The content of `words.json`, which travels with the embedded models."""
    return {
        "classes": list(CLASSES),
        "synonyms": {k: list(v) for k, v in SYNONYMS.items()},
        "colours": list(COLOURS),
        "materials": list(MATERIALS),
        "scenes": [*(f"{c} background" for c in COLOURS), *SCENES[2:]],
        "other": [*OTHERS, *TAGS, "empty", "photo"],
    }
