"""A small BLIP: a render to the sentence that names its products, their colours and the scene.

Learns from moved, softened renders and one plain sentence each: the renderer's own captions leave
words out at random, and beam search would leave out what is left out most.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...samples import vocabulary
from .augment import box_of, move, soften
from .data import Renders
from .detector_model import FIRST_WORD, SPECIAL
from .loop import Budget, device_of, train
from .vae import to_tensor

if TYPE_CHECKING:
    from transformers import BertTokenizerFast, BlipForConditionalGeneration

LEAST_AREA = 60
"""Pixels of 128 × 128 that a product must show to be named."""


def words() -> list[str]:
    """Every single word of the captions, in the order of their ids."""
    out = [*vocabulary.CLASSES, *vocabulary.OTHERS, *vocabulary.COLOURS]
    out += ["a", "an", "and", "on", "empty", "background", "wooden", "table", "shelf", "street"]
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


def build(
    vocab_size: int, width: int = 160, layers: int = 5, size: int = 128
) -> BlipForConditionalGeneration:
    """A fresh model of about 2.6 M parameters; patches of 16 pixels."""
    from transformers import BlipConfig, BlipForConditionalGeneration

    heads = width // 32
    text = {
        "vocab_size": vocab_size,
        "hidden_size": width,
        "encoder_hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "max_position_embeddings": 128,
        "bos_token_id": vocab_size - 2,
        "eos_token_id": SPECIAL["[SEP]"],
        "sep_token_id": SPECIAL["[SEP]"],
        "pad_token_id": SPECIAL["[PAD]"],
        "projection_dim": width,
    }
    vision = {
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "image_size": size,
        "patch_size": max(8, size // 8),
        "projection_dim": width,
        "initializer_range": 0.02,  # BLIP's own 1e-10 is for weights that are loaded
    }
    return BlipForConditionalGeneration(
        BlipConfig(
            text_config=text,
            vision_config=vision,
            projection_dim=width,
            image_text_hidden_size=width,
        )
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
    place = _article(meta["scene"])
    return f"{' and '.join(things)} on {place}" if things else f"an empty {meta['scene']}"


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


def fit(model: Any, renders: Renders, *, workdir: Path, budget: Budget, batch: int = 32) -> None:
    """Train on softened, moved pictures."""
    tok, device = tokenizer(), device_of(model)
    bos = model.config.text_config.bos_token_id

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        images, captions = [], []
        for i in rng.integers(len(renders), size=batch):
            image, labels = np.array(renders.images[i]), np.array(renders.instances[i])
            image, labels = move(image, labels, rng)
            images.append(soften(image, rng))
            captions.append(caption(renders.meta[i], labels))
        x = to_tensor(np.stack(images)).to(device)
        text = {k: v.to(device) for k, v in encode(tok, captions, bos).items()}
        out = model(pixel_values=x, **text)
        guess, truth = out.logits[:, :-1].argmax(-1), text["labels"][:, 1:]
        right = (guess == truth)[truth != -100].float().mean().item()
        return out.loss, {"right": right}

    train("blip", workdir=workdir, modules={"net": model}, loss_fn=loss_fn, budget=budget, seed=12)


@torch.no_grad()
def evaluate(model: Any, renders: Renders, count: int = 400) -> dict[str, float]:
    """Shares of held-out pictures of one product that are named rightly: class, colour, scene."""
    tok, device = tokenizer(), device_of(model)
    model.eval()
    usable = [i for i, m in enumerate(renders.meta) if len(m["products"]) == 1][:count]
    right: dict[str, list[bool]] = {"class": [], "colour": [], "scene": []}
    for k in range(0, len(usable), 50):
        pick = usable[k : k + 50]
        x = to_tensor(renders.images[pick]).to(device)
        ids = model.generate(pixel_values=x, num_beams=3, max_new_tokens=30)
        for i, text in zip(pick, tok.batch_decode(ids, skip_special_tokens=True), strict=True):
            for key, value in named(text, renders.meta[i]).items():
                right[key].append(value)
    return {key: float(np.mean(values)) for key, values in right.items()}


def named(text: str, meta: dict[str, Any]) -> dict[str, bool]:
    """Whether a caption names the picture's first product's class and colour, and the scene."""
    product, (thing, _, place) = meta["products"][0], text.partition(" on ")
    return {
        "class": product["label"] in thing.split(),
        "colour": f"{product['colour']} " in thing,
        "scene": place.split(" ", 1)[-1] == meta["scene"],
    }


def export(model: Any, folder: Path, size: int = 128) -> None:
    """Write model (fp16), tokenizer and image processor as the hub lays them out."""
    from transformers import BlipImageProcessor, BlipProcessor

    processor = BlipProcessor(
        BlipImageProcessor(
            size={"height": size, "width": size},
            image_mean=[0.5, 0.5, 0.5],
            image_std=[0.5, 0.5, 0.5],
        ),
        tokenizer(),
    )
    model.half().save_pretrained(folder)
    model.float()
    processor.save_pretrained(folder)


def run(
    workdir: Path,
    out: Path,
    renders: Renders,
    val: Renders,
    budget: Budget,
    model: BlipForConditionalGeneration,
) -> None:
    """The recipe's step: train, print the held-out shares, export."""
    fit(model, renders, workdir=workdir, budget=budget)
    print("blip val", evaluate(model, val), flush=True)
    export(model, out, renders.images.shape[1])
