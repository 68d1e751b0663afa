"""A small classifier of whole pictures, the bench's second opinion on what stage 1 drew.

Learns from renders alone, never from generated pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from ....samples import vocabulary
from ..diffusion.vae import to_tensor
from ..pictures.augment import move, soften
from ..pictures.randomise import randomise
from ..pictures.rendered_pictures import Renders
from ..training.train_loop import Budget, device_of, train

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


def example(
    renders: Renders, i: int, rng: np.random.Generator, size: int, things: Renders | None
) -> tuple[np.ndarray, int]:
    """(image uint8 (size, size, 3), index in LABELS) of picture i, moved and softened, or with
    `things` also put anywhere."""
    image, instances = move(np.array(renders.images[i]), np.array(renders.instances[i]), rng)
    truth = label(renders, i)
    if things is not None and rng.random() < 0.75:
        image, seen = randomise(image, instances, things, rng)
        if truth != LABELS.index("none"):
            mine = renders.meta[i]["products"][0]["instance"]
            if (seen == mine).sum() < 0.4 * max(1, (instances == mine).sum()):
                truth = LABELS.index("none")
    image = soften(image, rng, coarsest=3.0 * len(image) / 128)
    if len(image) != size:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return image, truth


def uncertain_loss(logits: torch.Tensor, truth: torch.Tensor, margin: float = 4.0) -> torch.Tensor:
    """Free energy of the classes proper, high for pictures of none of them (Liu et al. 2020).

    A picture of a class is to have log-sum-exp above `margin`, one of none below minus it; so the
    energy tells what is unlike anything seen, even where the softmax is sure.
    """
    energy = torch.logsumexp(logits[:, :-1], 1)
    none = truth == logits.shape[1] - 1
    return torch.where(none, F.relu(energy + margin), F.relu(margin - energy)).square().mean()


def fit(
    model: Any,
    renders: Renders,
    *,
    workdir: Path,
    budget: Budget,
    batch: int = 32,
    size: int = 128,
    things: Renders | None = None,
) -> None:
    """Train on softened, moved and, with `things`, randomised pictures seen at `size` pixels."""
    usable = suitable(renders)
    device = device_of(model)

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        pick = rng.choice(usable, batch)
        shots = [example(renders, int(i), rng, size, things) for i in pick]
        truth = torch.tensor([s[1] for s in shots]).to(device)
        images = [s[0] for s in shots]
        logits = model(to_tensor(np.stack(images)).to(device)).logits
        right = (logits.argmax(1) == truth).float().mean().item()
        loss = F.cross_entropy(logits, truth, label_smoothing=0.05)
        return loss + 0.02 * uncertain_loss(logits, truth), {"right": right}

    train(
        "classifier",
        workdir=workdir,
        modules={"net": model},
        loss_fn=loss_fn,
        budget=budget,
        seed=9,
    )


@torch.no_grad()
def evaluate(model: Any, renders: Renders, size: int = 128) -> float:
    """Share of held-out pictures named rightly, seen at `size` pixels."""
    model.eval()
    usable = suitable(renders)
    right = []
    for k in range(0, len(usable), 50):
        pick = usable[k : k + 50]
        x = to_tensor(renders.images[pick])
        x = F.interpolate(x, (size, size), mode="area") if x.shape[2] != size else x
        guess = model(x.to(device_of(model))).logits.argmax(1)
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
    things: Renders | None = None,
) -> None:
    """The recipe's step: train, print the held-out share, export."""
    fit(model, renders, workdir=workdir, budget=budget, things=things)
    print("classifier val", evaluate(model, val), flush=True)
    export(model, out)
