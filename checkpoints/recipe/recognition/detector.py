"""Trains the small Grounding DINO: words to boxes, silent on what is not there.

First backbone and projections as a heat-map of classes, then the whole model on prompts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torchvision.ops import box_convert, box_iou

from ....samples import vocabulary
from ..diffusion.vae import to_tensor
from ..pictures.augment import box_of, move, soften
from ..pictures.crops import scene
from ..pictures.cut_outs import Bank
from ..pictures.randomise import randomise
from ..pictures.rendered_pictures import Renders
from ..training.train_loop import Budget, device_of, train
from . import detector_model
from .detector_loss import assign, centres, focal, loss_of

CLASSES = vocabulary.CLASSES
ABSENT = (*vocabulary.OTHERS, *vocabulary.COLOURS)


def example(
    renders: Renders,
    i: int,
    rng: np.random.Generator,
    size: int | None = None,
    things: Renders | None = None,
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """(image uint8, boxes float (n, 4) cxcywh in 0..1, labels) of an augmented picture.

    Args:
        renders: The pictures.
        i: Which.
        rng: Decides everything.
        size: Side in pixels; None: that of the renders.
        things: Renders of what is no product, for domain randomisation; None: without it.
    """
    image, instances = move(np.array(renders.images[i]), np.array(renders.instances[i]), rng)
    if things is not None and rng.random() < 0.75:
        image, instances = randomise(image, instances, things, rng)
    boxes, labels = [], []
    for product in renders.meta[i]["products"]:
        seen = instances == product["instance"]
        box = box_of(seen)
        if box is None or seen.sum() < 40:
            continue
        x0, y0, x1, y1 = np.array(box) / image.shape[0]
        boxes.append([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0])
        labels.append(CLASSES.index(product["label"]))
    image = soften(image, rng, coarsest=3.0 * 128 / max(128, len(image)))
    if size and size != len(image):
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
    return image, np.array(boxes, np.float32).reshape(-1, 4), labels


Source = tuple[Renders | Bank, Renders | None]
"""Pictures, and things for the domain randomisation of renders, see `example`."""


def drawn(
    source: Source, rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """One picture of a source at random, as `example` gives it."""
    pictures, things = source
    if isinstance(pictures, Renders):
        return example(pictures, int(rng.integers(len(pictures))), rng, size, things)
    image, boxes, labels = scene(pictures, size, rng)
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) / size
    return image, box_convert(corners, "xyxy", "cxcywh").numpy(), labels


def phrases(labels: list[int], count: int, rng: np.random.Generator) -> tuple[list[str], list[int]]:
    """`count` phrases, about half of them present; and for each its class, or -1."""
    present = list(dict.fromkeys(labels))
    rng.shuffle(present)
    others = [k for k in range(len(CLASSES)) if k not in labels]
    rng.shuffle(others)
    keep = int(rng.binomial(min(count, max(1, len(present))), 0.55)) if count < 8 else 8
    chosen = [int(k) for k in (present[:keep] + others)][:count]
    rng.shuffle(chosen)
    names = []
    for j, k in enumerate(chosen):
        name = CLASSES[k]
        if vocabulary.SYNONYMS[name] and rng.random() < 0.15:
            name = str(rng.choice(vocabulary.SYNONYMS[name]))
        if k not in labels and rng.random() < 0.12:
            name, chosen[j] = str(rng.choice(ABSENT)), -1
        names.append(name)
    return names, chosen


def warm_up(
    model: Any,
    source: Source,
    *,
    workdir: Path,
    budget: Budget,
    batch: int = 32,
    size: int = 128,
) -> None:
    """Teach backbone and projections where each class is, with a linear head a level."""
    heads = torch.nn.ModuleList(torch.nn.Conv2d(96, 11, 1) for _ in range(3))
    heads.to(device_of(model))
    for head in heads:
        torch.nn.init.constant_(cast(torch.Tensor, head.bias), -3.0)
    device = device_of(model)
    points = centres(size).to(device)

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        shots = [drawn(source, rng, size) for _ in range(batch)]
        x = to_tensor(np.stack([s[0] for s in shots])).to(device)
        mask = torch.ones(batch, x.shape[2], x.shape[3], dtype=torch.long, device=device)
        features, _ = model.model.backbone(x, mask)
        maps = [
            head(proj(f)).flatten(2)
            for head, proj, (f, _) in zip(
                heads, model.model.input_proj_vision, features, strict=True
            )
        ]
        logits = torch.cat(maps, 2).transpose(1, 2)
        target = torch.zeros_like(logits)
        for i, (_, boxes, labels) in enumerate(shots):
            if labels:
                owner = assign(points, torch.from_numpy(boxes).to(device), 0.6)
                hit = (owner >= 0).nonzero()[:, 0]
                target[i, hit, torch.tensor(labels, device=device)[owner[hit]]] = 1.0
        right = (logits.argmax(2) == target.argmax(2))[target.sum(2) > 0].float().mean().item()
        return focal(logits, target) / target.sum().clamp(min=1), {"right": right}

    modules = {
        "backbone": model.model.backbone,
        "proj": model.model.input_proj_vision,
        "heads": heads,
    }
    train("detector-warm", workdir=workdir, modules=modules, loss_fn=loss_fn, budget=budget, seed=5)


def fit(
    model: Any,
    tok: Any,
    sources: list[Source],
    *,
    workdir: Path,
    budget: Budget,
    batch: int = 16,
    size: int = 128,
    name: str = "detector",
) -> None:
    """Train the whole model on prompts of 1, 4 or 8 phrases.

    Args:
        model: From `detector_model.build`.
        tok: Its tokenizer.
        sources: Each gives its share of a batch.
        workdir: Where the state is kept.
        budget: How long.
        batch: Pictures a step.
        size: Side in pixels.
        name: Of the state's file.
    """
    device = device_of(model)
    points = centres(size).to(device)

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        count = int(rng.choice((1, 4, 8), p=(0.4, 0.3, 0.3)))
        shots = [drawn(sources[k % len(sources)], rng, size) for k in range(batch)]
        prompts, truth = [], []
        for _, boxes, labels in shots:
            names, classes = phrases(labels, count, rng)
            prompts.append(" ".join(f"{n} ." for n in names))
            position = torch.arange(count) * 2 + 1
            truth.append(
                (
                    torch.from_numpy(boxes).to(device),
                    torch.tensor(labels, dtype=torch.long, device=device),
                    (position, classes),
                )
            )
        ids = tok(prompts, return_tensors="pt").input_ids.to(device)
        x = to_tensor(np.stack([s[0] for s in shots])).contiguous().to(device)
        with torch.autocast(device.type, torch.bfloat16):  # a fifth faster on AVX-512 cores
            outputs = model(pixel_values=x, input_ids=ids, attention_mask=torch.ones_like(ids))
        return loss_of(model, outputs, truth, points)

    # heads and scaled norms have far to go; Adam moves all at one pace
    fast: list[torch.Tensor] = []
    slow: list[torch.Tensor] = []
    for key, parameter in model.named_parameters():
        ahead = "bbox_embed" in key or "enc_output_norm" in key or "decoder.layer_norm" in key
        (fast if ahead else slow).append(parameter)
    train(
        name,
        workdir=workdir,
        modules={"model": model},
        loss_fn=loss_fn,
        budget=budget,
        seed=6,
        param_groups=[{"params": slow, "scale": 1.0}, {"params": fast, "scale": 4.0}],
    )


@torch.no_grad()
def evaluate(
    model: Any, tok: Any, renders: Renders, count: int, threshold: float, size: int = 128
) -> dict[str, float]:
    """Recall and false positives of class queries, and box IoU, on `count` pictures."""
    model.eval()
    device = device_of(model)
    present: list[float] = []
    absent: list[float] = []
    ious: list[float] = []
    side = renders.images.shape[1]
    for i in range(min(count, len(renders))):
        image = cv2.resize(np.array(renders.images[i]), (size, size), interpolation=cv2.INTER_CUBIC)
        x = to_tensor(image[None]).contiguous().to(device)
        x = x.expand(len(CLASSES), -1, -1, -1)
        ids = tok([f"{c} ." for c in CLASSES], return_tensors="pt").input_ids.to(device)
        out = model(pixel_values=x, input_ids=ids, attention_mask=torch.ones_like(ids))
        scores, where = out.logits[:, :, 1].sigmoid().cpu(), out.pred_boxes.cpu()
        for k, name in enumerate(CLASSES):
            mine = [p["box_xyxy"] for p in renders.meta[i]["products"] if p["label"] == name]
            best = scores[k].max().item()
            (present if mine else absent).append(best)
            if mine and best > threshold:
                box = box_convert(where[k, scores[k].argmax()][None], "cxcywh", "xyxy")
                ious.append(box_iou(box * side, torch.tensor(mine).float()).max().item())
    a, b = np.array(present), np.array(absent)
    grid = np.linspace(0.05, 0.8, 76)
    balanced = [(np.mean(a > t) + np.mean(b <= t)) / 2 for t in grid]
    return {
        "recall": float(np.mean(a > threshold)),
        "false_positives": float(np.mean(b > threshold)),
        "box_iou": float(np.mean(ious)) if ious else 0.0,
        "best_balanced": float(max(balanced)),
        "best_threshold": float(grid[int(np.argmax(balanced))]),
    }


def run(
    workdir: Path,
    out: Path,
    sources: list[Source],
    val: Renders,
    budgets: tuple[Budget, Budget],
    start: Path | None = None,
    device: str = "cpu",
    size: int = 128,
) -> None:
    """The recipe's step: warm up, train, print held-out figures, export.

    Args:
        workdir: Where the states are kept.
        out: Where the model goes.
        sources: What to learn from; the first is what the warm-up sees.
        val: Held out.
        budgets: Of the warm-up and of the whole.
        start: A finished model, to be trained on; None: from nothing.
        device: Where to train.
        size: Side in pixels that pictures are seen at.
    """
    from transformers import GroundingDinoForObjectDetection

    torch.manual_seed(0)
    tok = detector_model.tokenizer()
    if start is None:
        model = detector_model.build(len(tok)).to(device)
        warm: dict[str, Any] = {"workdir": workdir, "budget": budgets[0]}
        warm_up(model, sources[0], size=size, **warm)
    else:
        model = GroundingDinoForObjectDetection.from_pretrained(start, dtype=torch.float32)
        model.to(device)
    fit(model, tok, sources, workdir=workdir, budget=budgets[1], size=size)
    print("detector val", evaluate(model, tok, val, 300, 0.4, size), flush=True)
    detector_model.export(model, out, size)


def run_crowd(
    workdir: Path,
    out: Path,
    sources: list[Source],
    val: Renders,
    budget: Budget,
    device: str = "cpu",
    size: int = 192,
) -> None:
    """The recipe's next step: train the finished model of `out` on, on up to four small products
    a picture, seen larger.

    Args:
        workdir: Where the state is kept.
        out: Where the model is and goes.
        sources: Each gives its share of a batch.
        val: Held out.
        budget: How long.
        device: Where to train.
        size: Side in pixels that pictures are seen at.
    """
    from transformers import GroundingDinoForObjectDetection

    tok = detector_model.tokenizer()
    model = GroundingDinoForObjectDetection.from_pretrained(out, dtype=torch.float32).to(device)
    fit(model, tok, sources, workdir=workdir, budget=budget, size=size, name="detector-crowd")
    detector_model.more_queries(model)
    print("detector-crowd val", evaluate(model, tok, val, 300, 0.5, size), flush=True)
    detector_model.export(model, out, size)
