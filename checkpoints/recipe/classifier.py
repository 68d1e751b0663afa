"""A small classifier of whole pictures, the bench's second opinion on what stage 1 drew.

Learns from renders alone, never from generated pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from ...samples import vocabulary
from .augment import move, soften
from .rendered_pictures import Renders
from .train_loop import Budget, device_of, train
from .vae import to_tensor

if TYPE_CHECKING:
    from transformers import ResNetForImageClassification

LABELS = (*vocabulary.CLASSES, "none")


def build() -> ResNetForImageClassification:
    """A fresh ResNet of about 0.7 M parameters."""
    from transformers import ResNetConfig, ResNetForImageClassification

    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=24,
            hidden_sizes=[24, 48, 96, 160],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            num_labels=len(LABELS),
            id2label=dict(enumerate(LABELS)),
            label2id={n: i for i, n in enumerate(LABELS)},
        )
    )


def suitable(renders: Renders) -> list[int]:
    """Pictures of one product or none."""
    return [i for i, m in enumerate(renders.meta) if len(m["products"]) <= 1]


def label(renders: Renders, i: int) -> int:
    products = renders.meta[i]["products"]
    return LABELS.index(products[0]["label"] if products else "none")


def fit(model: Any, renders: Renders, *, workdir: Path, budget: Budget, batch: int = 32) -> None:
    """Train on softened, moved pictures."""
    usable = suitable(renders)
    device = device_of(model)

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        pick = rng.choice(usable, batch)
        images = [
            soften(move(np.array(renders.images[i]), np.array(renders.instances[i]), rng)[0], rng)
            for i in pick
        ]
        truth = torch.tensor([label(renders, int(i)) for i in pick]).to(device)
        logits = model(to_tensor(np.stack(images)).to(device)).logits
        right = (logits.argmax(1) == truth).float().mean().item()
        return F.cross_entropy(logits, truth, label_smoothing=0.05), {"right": right}

    train(
        "classifier",
        workdir=workdir,
        modules={"net": model},
        loss_fn=loss_fn,
        budget=budget,
        seed=9,
    )


@torch.no_grad()
def evaluate(model: Any, renders: Renders) -> float:
    """Share of held-out pictures named rightly."""
    model.eval()
    usable = suitable(renders)
    right = []
    for k in range(0, len(usable), 50):
        pick = usable[k : k + 50]
        guess = model(to_tensor(renders.images[pick]).to(device_of(model))).logits.argmax(1)
        right += [int(g) == label(renders, i) for g, i in zip(guess, pick, strict=True)]
    return float(np.mean(right))


def export(model: Any, folder: Path, size: int = 128) -> None:
    """Write model (fp16) and image processor as the hub lays them out."""
    from transformers import ConvNextImageProcessor

    model.half().save_pretrained(folder)
    model.float()
    ConvNextImageProcessor(
        size={"shortest_edge": size},
        crop_pct=1.0,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    ).save_pretrained(folder)


def run(
    workdir: Path,
    out: Path,
    renders: Renders,
    val: Renders,
    budget: Budget,
    model: ResNetForImageClassification,
) -> None:
    """The recipe's step: train, print the held-out share, export."""
    fit(model, renders, workdir=workdir, budget=budget)
    print("classifier val", evaluate(model, val), flush=True)
    export(model, out, renders.images.shape[1])
