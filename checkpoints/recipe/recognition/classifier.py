"""The classifier that `verify` looks at crops with: eight classes, or none of them.

Learns on crops of renders made strange and of clip art, see `pictures.crops`; never on generated
pictures, so that `visuals bench quality` can ask it what stage 1 drew.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from ....samples import vocabulary
from ..diffusion.vae import to_tensor
from ..pictures.crops import crop
from ..pictures.cut_outs import Bank
from ..pictures.rendered_pictures import Renders
from ..training.train_loop import Budget, device_of, train

if TYPE_CHECKING:
    from transformers import ResNetForImageClassification

LABELS = (*vocabulary.CLASSES, "none")
SIZE = 64
"""Side in pixels of the crops that the model sees."""
SHARES = np.array([12, 12, 12, 6, 6, 12, 6, 6, 28]) / 100
"""Of the labels in training; what photos show most, most."""


def build() -> ResNetForImageClassification:
    """A fresh ResNet of about 0.5 M parameters; its labels name synonyms, as ImageNet's do."""
    from transformers import ResNetConfig, ResNetForImageClassification

    names = [", ".join((name, *vocabulary.SYNONYMS.get(name, ()))) for name in LABELS]
    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=24,
            hidden_sizes=[24, 48, 80, 120],
            depths=[1, 2, 2, 1],
            layer_type="basic",
            num_labels=len(LABELS),
            id2label=dict(enumerate(names)),
            label2id={n: i for i, n in enumerate(names)},
        )
    )


def fit(model: Any, bank: Bank, *, workdir: Path, budget: Budget, batch: int = 64) -> None:
    """Train on crops made of `bank`."""
    device = device_of(model)
    model.to(memory_format=torch.channels_last)

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        shots = [crop(bank, SIZE, rng, SHARES) for _ in range(batch)]
        truth = torch.tensor([s[1] for s in shots]).to(device)
        x = to_tensor(np.stack([s[0] for s in shots])).to(device)
        with torch.autocast(device.type, torch.bfloat16):  # two thirds of the time
            logits = model(x).logits
        right = logits.argmax(1) == truth
        none = truth == bank.none
        figures = {
            "right": right[~none].float().mean().item(),
            "none": right[none].float().mean().item(),
        }
        return F.cross_entropy(logits.float(), truth, label_smoothing=0.03), figures

    train(
        "classifier",
        workdir=workdir,
        modules={"net": model},
        loss_fn=loss_fn,
        budget=budget,
        seed=11,
    )


@torch.no_grad()
def evaluate(model: Any, renders: Renders) -> float:
    """Share of held-out pictures of one product or none that are named rightly, seen whole."""
    model.eval()
    usable = [i for i, m in enumerate(renders.meta) if len(m["products"]) <= 1]
    right = []
    for k in range(0, len(usable), 50):
        pick = usable[k : k + 50]
        x = F.interpolate(to_tensor(renders.images[pick]), (SIZE, SIZE), mode="area")
        for guess, i in zip(model(x.to(device_of(model))).logits.argmax(1), pick, strict=True):
            products = renders.meta[i]["products"]
            right.append(LABELS[int(guess)] == (products[0]["label"] if products else "none"))
    return float(np.mean(right))


def export(model: Any, folder: Path) -> None:
    """Write model (fp16) and image processor as the hub lays them out."""
    from transformers import ViTImageProcessor

    model.half().save_pretrained(folder)
    model.float()
    ViTImageProcessor(
        size={"height": SIZE, "width": SIZE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    ).save_pretrained(folder)


def run(
    workdir: Path,
    out: Path,
    bank: Bank,
    val: Renders,
    budget: Budget,
    model: ResNetForImageClassification,
) -> None:
    """The recipe's step: train, print the held-out share, export."""
    fit(model, bank, workdir=workdir, budget=budget)
    print("classifier val", evaluate(model, val), flush=True)
    export(model, out)
