"""What the small BLIP says: its words, its sentences, and whether a sentence is right."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ....samples import vocabulary
from ..pictures.augment import box_of
from .detector_model import FIRST_WORD, SPECIAL

if TYPE_CHECKING:
    from transformers import BertTokenizerFast

LEAST_AREA = 60
"""Pixels of 128 × 128 that a product must show to be named."""


def words() -> list[str]:
    """Every single word of the captions, in the order of their ids."""
    out = [*vocabulary.CLASSES, *vocabulary.OTHERS, *vocabulary.COLOURS]
    out += ["a", "an", "and", "on", "empty", "background", "wooden", "table", "shelf", "street"]
    out += ["in", "at", "night", "room", "grass", "marble", "beach"]
    return list(dict.fromkeys(out))


def tokenizer() -> BertTokenizerFast:
    """A BERT tokenizer over `words()`, with the marks that BLIP adds; any other word is [UNK]."""
    from transformers import BertTokenizerFast

    lines = [f"[unused{i}]" for i in range(FIRST_WORD)] + [*words(), "[DEC]", "[ENC]"]
    for word, i in SPECIAL.items():
        lines[i] = word
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "vocab.txt").write_text("\n".join(lines) + "\n")
        return BertTokenizerFast.from_pretrained(
            folder, do_lower_case=True, bos_token="[DEC]", model_max_length=128
        )


def caption(meta: dict[str, Any], instances: np.ndarray) -> str:
    """The plain sentence of a picture: products from left to right, other things, the scene.

    `instances`: uint8 (H, W), as the picture shows them now.
    """
    found = []
    for product in meta["products"]:
        seen = instances == product["instance"]
        box = box_of(seen)
        if box is not None and seen.sum() >= LEAST_AREA:
            found.append((box[0] + box[2], f"{product['colour']} {product['label']}"))
    names = [name for _, name in sorted(found)] + meta["others"]
    things = [name if name == "books" else _article(name) for name in dict.fromkeys(names)]
    place = vocabulary.placed(meta["scene"])
    return f"{' and '.join(things)} {place}" if things else f"an empty {meta['scene']}"


def _article(name: str) -> str:
    return ("an " if name[0] in "aeiou" else "a ") + name


def encode(tok: Any, captions: list[str], bos: int) -> dict[str, torch.Tensor]:
    """`input_ids`, `attention_mask` and `labels` of captions, int64 (N, L), start mark first."""
    out = tok(captions, padding=True, return_tensors="pt")
    ids, mask = out.input_ids, out.attention_mask
    ids[:, 0] = bos
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": ids.masked_fill(mask == 0, -100),
    }


def named(text: str, meta: dict[str, Any]) -> dict[str, bool]:
    """Whether a caption names the picture's first product's class and colour, and the scene."""
    product, place = meta["products"][0], vocabulary.placed(meta["scene"])
    thing = text.split(" on ")[0].split(" in a ")[0]
    return {
        "class": product["label"] in thing.split(),
        "colour": f"{product['colour']} " in thing,
        "scene": text.endswith(place),
    }
