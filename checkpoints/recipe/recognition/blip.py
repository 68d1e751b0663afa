"""A small BLIP: a render to the sentence that names its products, their colours and the scene.

Learns from moved, softened renders and one plain sentence each: the renderer's own captions leave
words out at random, and beam search would leave out what is left out most.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ....samples import vocabulary
from ..diffusion.vae import to_tensor
from ..pictures.augment import move, soften
from ..pictures.rendered_pictures import Renders
from ..training.train_loop import Budget, device_of, train
from .caption_grammar import caption, encode, named, tokenizer
from .detector_model import SPECIAL

if TYPE_CHECKING:
    from transformers import BlipForConditionalGeneration


def build(
    vocab_size: int, width: int = 160, layers: int = 5, size: int = 128
) -> BlipForConditionalGeneration:
    """A fresh model of about 2.6 M parameters; patches of 16 pixels."""
    from transformers import BlipConfig, BlipForConditionalGeneration

    heads = width // 32
    std = width**-0.5  # 0.02 is for wide models: here attention would stay even for long
    text = {
        "initializer_range": std,
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
        "initializer_range": std,  # BLIP's own 1e-10 is for weights that are loaded
    }
    return BlipForConditionalGeneration(
        BlipConfig(
            text_config=text,
            vision_config=vision,
            projection_dim=width,
            image_text_hidden_size=width,
        )
    )


@torch.no_grad()
def whiten(model: BlipForConditionalGeneration, images: np.ndarray) -> None:
    """Start the patch embedding as a whitening of these pictures' patches, uint8 (N, H, W, 3).

    A random one sees little but mean colours, which vary most, and shapes come late.
    """
    conv = model.vision_model.embeddings.patch_embedding
    x = to_tensor(images).to(conv.weight.device)
    x = torch.nn.functional.unfold(x, conv.kernel_size, stride=conv.stride)
    x = x.transpose(1, 2).flatten(0, 1)
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    first = slice(-conv.out_channels, None)  # the largest
    weight = 0.5 * vectors[:, first].T / (values[first, None] + 1e-3).sqrt()
    conv.weight.copy_(weight.reshape(conv.weight.shape))
    conv.bias.copy_(-weight @ mean)


def patch_labels(meta: dict[str, Any], instances: np.ndarray, patches: int) -> np.ndarray:
    """What each patch shows, int64 (patches², 2): class and colour of its product, counted from 1;
    0 where products cover less than a quarter."""
    side = instances.shape[0] // patches
    blocks = instances.reshape(patches, side, patches, side).swapaxes(1, 2).reshape(patches**2, -1)
    out = np.zeros((patches**2, 2), np.int64)
    most = np.full(patches**2, side * side / 4)
    for product in meta["products"]:
        shown = (blocks == product["instance"]).sum(1)
        better = shown > most
        most[better] = shown[better]
        name, colour = product["label"], product["colour"]
        out[better] = (
            1 + vocabulary.CLASSES.index(name),
            1 + vocabulary.COLOURS.index(colour),
        )
    return out


def fit(model: Any, renders: Renders, *, workdir: Path, budget: Budget, batch: int = 32) -> None:
    """Train on softened, moved pictures: the sentence, and what each patch shows.

    A sentence says too little of where to look; with the patches, classes are learned in a
    fraction of the time. Their heads are not kept.
    """
    tok, device = tokenizer(), device_of(model)
    bos, width = model.config.text_config.bos_token_id, model.config.vision_config.hidden_size
    kinds = len(vocabulary.CLASSES) + 1, len(vocabulary.COLOURS) + 1
    heads = torch.nn.Linear(width, sum(kinds)).to(device)
    patches = model.config.vision_config.image_size // model.config.vision_config.patch_size

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        images, captions, shown = [], [], []
        for i in rng.integers(len(renders), size=batch):
            image, labels = np.array(renders.images[i]), np.array(renders.instances[i])
            image, labels = move(image, labels, rng)
            images.append(soften(image, rng))
            captions.append(caption(renders.meta[i], labels))
            shown.append(patch_labels(renders.meta[i], labels, patches))
        x = to_tensor(np.stack(images)).to(device)
        text = {k: v.to(device) for k, v in encode(tok, captions, bos).items()}
        out = model(pixel_values=x, **text)
        there = torch.from_numpy(np.stack(shown)).to(device).flatten(0, 1)
        guess = heads(out.image_embeds[:, 1:]).flatten(0, 1).split(kinds, 1)
        parts = [cross_entropy(g, t) for g, t in zip(guess, there.T, strict=True)]
        on = there[:, 0] > 0
        numbers = {
            "words": out.loss.item(),
            "patches": (guess[0].argmax(1) == there[:, 0])[on].float().mean().item(),
        }
        return out.loss + parts[0] + parts[1], numbers

    train(
        "blip",
        workdir=workdir,
        modules={"net": model, "heads": heads},
        loss_fn=loss_fn,
        budget=budget,
        seed=12,
    )


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
