"""Trains the small Grounding DINO: words to boxes, silent on what is not there.

Losses of our own: every encoder location in the middle of a box, and every decoder query that
starts near one, answers for it (one to many, as in ATSS and group-DETR); duplicates are left to
the pipeline's non-maximum suppression. The scores learn the predicted box's IoU (quality focal
loss, Li et al. 2020), so that suppression keeps the best box.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.ops import box_convert, box_iou, generalized_box_iou

from ...samples import vocabulary
from . import detector_model
from .augment import box_of, move, soften
from .data import Renders
from .loop import Budget, train
from .vae import to_tensor

CLASSES = vocabulary.CLASSES
Truth = tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, list[int]]]
"""Boxes (n, 4), their classes (n,), and token position and class of each phrase."""
ABSENT = (*vocabulary.OTHERS, *vocabulary.COLOURS)


def example(
    renders: Renders, i: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """(image uint8, boxes float (n, 4) cxcywh in 0..1, labels) of an augmented picture."""
    image, instances = move(np.array(renders.images[i]), np.array(renders.instances[i]), rng)
    boxes, labels = [], []
    for product in renders.meta[i]["products"]:
        seen = instances == product["instance"]
        box = box_of(seen)
        if box is None or seen.sum() < 0.25 * product["area"] or min(box[2:]) < 4:
            continue
        x0, y0, x1, y1 = np.array(box) / image.shape[0]
        boxes.append([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0])
        labels.append(CLASSES.index(product["label"]))
    return soften(image, rng), np.array(boxes, np.float32).reshape(-1, 4), labels


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


def focal(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Quality focal loss, summed: |target - p|^2 times cross-entropy; targets 0..1."""
    p = logits.sigmoid()
    weight = (target - p).abs().square() * torch.where(target > 0, 0.75, 0.5)
    return (weight * F.binary_cross_entropy_with_logits(logits, target, reduction="none")).sum()


def centres(size: int, strides: tuple[int, ...] = (8, 16, 32)) -> torch.Tensor:
    """Centres (x, y in 0..1) of all encoder locations, levels in order."""
    parts = []
    for s in strides:
        n = -(-size // s)
        c = (torch.arange(n) + 0.5) / n
        y, x = torch.meshgrid(c, c, indexing="ij")
        parts.append(torch.stack([x.flatten(), y.flatten()], 1))
    return torch.cat(parts)


def assign(points: torch.Tensor, boxes: torch.Tensor, share: float) -> torch.Tensor:
    """For each point (x, y) the smallest box whose middle `share` holds it, else -1."""
    inside = ((points[:, None] - boxes[None, :, :2]).abs() < share / 2 * boxes[None, :, 2:]).all(2)
    area = boxes[:, 2] * boxes[:, 3]
    cost = torch.where(inside, area[None], torch.tensor(9.0))
    best, which = cost.min(1)
    return torch.where(best < 9.0, which, torch.tensor(-1))


def one_to_many(
    logits: torch.Tensor,
    coords: torch.Tensor,
    owner: torch.Tensor,
    boxes: torch.Tensor,
    labels: torch.Tensor,
    columns: tuple[torch.Tensor, list[int]],
    hard: bool,
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """(class loss, box loss, positives) of one picture's predictions.

    logits (n, tokens); coords (n, 4) cxcywh; owner (n,) index of the box each answers for, or -1;
    columns: token position of each phrase; labels: class of each box; `phrase_of` by class.
    """
    position, classes = columns
    # the marks between the phrases count as absent: they vote in the choice of queries too
    target = torch.zeros(len(logits), 2 * len(position) + 2)
    hit = owner >= 0
    box_loss = coords.sum() * 0.0
    if hit.any():
        mine = boxes[owner[hit]]
        a, b = box_convert(coords[hit], "cxcywh", "xyxy"), box_convert(mine, "cxcywh", "xyxy")
        iou = torch.diag(box_iou(a.detach(), b)) if not hard else torch.ones(len(a))
        giou = 1 - torch.diag(generalized_box_iou(a, b))
        box_loss = 5.0 * (coords[hit] - mine).abs().sum() + 2.0 * giou.sum()
        own_class = labels[owner[hit]]
        rows = hit.nonzero()[:, 0]
        for j, k in enumerate(classes):
            here = own_class == k
            target[rows[here], position[j]] = iou[here] if not hard else 1.0
    return focal(logits[:, : target.shape[1]], target), box_loss, int(hit.sum())


def loss_of(
    model: Any, outputs: Any, batch: list[Truth], points: torch.Tensor
) -> tuple[torch.Tensor, dict[str, float]]:
    """Encoder and decoder losses of a batch, each divided by its positives."""
    text = outputs.encoder_last_hidden_state_text
    mask = torch.ones(text.shape[:2], dtype=torch.bool)
    layers = []
    for level in range(outputs.intermediate_hidden_states.shape[1]):
        start = (
            outputs.init_reference_points
            if level == 0
            else outputs.intermediate_reference_points[:, level - 1]
        )
        hidden = outputs.intermediate_hidden_states[:, level]
        start = torch.special.logit(start, eps=1e-5)
        layers.append(
            (
                model.class_embed[level](hidden, text, mask),
                (model.bbox_embed[level](hidden) + start).sigmoid(),
            )
        )
    encoder = (outputs.enc_outputs_class, outputs.enc_outputs_coord_logits.sigmoid())
    total = torch.zeros(())
    numbers: dict[str, float] = {}
    for name, (logits, coords) in (("enc", encoder), ("d0", layers[0]), ("d1", layers[1])):
        cls, box, hits = torch.zeros(()), torch.zeros(()), 0
        for i, (boxes, labels, columns) in enumerate(batch):
            if name == "enc":
                owner = (
                    assign(points, boxes, 0.6)
                    if len(boxes)
                    else points.new_full((len(points),), -1).long()
                )
            elif len(boxes):
                start = outputs.init_reference_points[i].detach()
                owner = assign(start[:, :2], boxes, 0.5)
                xyxy = (box_convert(t, "cxcywh", "xyxy") for t in (start, boxes))
                iou, near = box_iou(*xyxy).max(1)
                owner = torch.where(iou >= 0.5, near, owner)
            else:
                owner = torch.full((logits.shape[1],), -1)
            c, b, n = one_to_many(
                logits[i], coords[i], owner, boxes, labels, columns, hard=name == "enc"
            )
            cls, box, hits = cls + c, box + b, hits + n
        total = total + (cls * 2 + box) / max(1, hits)
        numbers |= {
            f"{name}_cls": cls.item() / max(1, hits),
            f"{name}_box": box.item() / max(1, hits),
        }
    return total, numbers


def warm_up(
    model: Any, renders: Renders, *, workdir: Path, budget: Budget, batch: int = 32
) -> None:
    """Teach backbone and projections where each class is, with a linear head a level."""
    heads = torch.nn.ModuleList(torch.nn.Conv2d(96, 11, 1) for _ in range(3))
    for head in heads:
        torch.nn.init.constant_(cast(torch.Tensor, head.bias), -3.0)
    points = centres(renders.images.shape[1])

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        shots = [example(renders, int(i), rng) for i in rng.integers(len(renders), size=batch)]
        x = to_tensor(np.stack([s[0] for s in shots]))
        mask = torch.ones(batch, x.shape[2], x.shape[3], dtype=torch.long)
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
                owner = assign(points, torch.from_numpy(boxes), 0.6)
                hit = (owner >= 0).nonzero()[:, 0]
                target[i, hit, torch.tensor(labels)[owner[hit]]] = 1.0
        right = (logits.argmax(2) == target.argmax(2))[target.sum(2) > 0].float().mean().item()
        return focal(logits, target) / target.sum().clamp(min=1), {"right": right}

    modules = {
        "backbone": model.model.backbone,
        "proj": model.model.input_proj_vision,
        "heads": heads,
    }
    train("detector-warm", workdir=workdir, modules=modules, loss_fn=loss_fn, budget=budget, seed=5)


def fit(
    model: Any, tok: Any, renders: Renders, *, workdir: Path, budget: Budget, batch: int = 16
) -> None:
    """Train the whole model on prompts of 1, 4 or 8 phrases."""
    points = centres(renders.images.shape[1])

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        count = int(rng.choice((1, 4, 8), p=(0.4, 0.3, 0.3)))
        shots = [example(renders, int(i), rng) for i in rng.integers(len(renders), size=batch)]
        prompts, truth = [], []
        for _, boxes, labels in shots:
            names, classes = phrases(labels, count, rng)
            prompts.append(" ".join(f"{n} ." for n in names))
            position = torch.arange(count) * 2 + 1
            truth.append(
                (
                    torch.from_numpy(boxes),
                    torch.tensor(labels, dtype=torch.long),
                    (position, classes),
                )
            )
        ids = tok(prompts, return_tensors="pt").input_ids
        x = to_tensor(np.stack([s[0] for s in shots])).contiguous()
        outputs = model(pixel_values=x, input_ids=ids, attention_mask=torch.ones_like(ids))
        return loss_of(model, outputs, truth, points)

    # heads and scaled norms have far to go; Adam moves all at one pace
    fast: list[torch.Tensor] = []
    slow: list[torch.Tensor] = []
    for key, parameter in model.named_parameters():
        ahead = "bbox_embed" in key or "enc_output_norm" in key or "decoder.layer_norm" in key
        (fast if ahead else slow).append(parameter)
    train(
        "detector",
        workdir=workdir,
        modules={"model": model},
        loss_fn=loss_fn,
        budget=budget,
        seed=6,
        param_groups=[{"params": slow, "scale": 1.0}, {"params": fast, "scale": 4.0}],
    )


@torch.no_grad()
def evaluate(
    model: Any, tok: Any, renders: Renders, count: int, threshold: float
) -> dict[str, float]:
    """Recall and false positives of class queries, and box IoU, on `count` pictures."""
    model.eval()
    present: list[float] = []
    absent: list[float] = []
    ious: list[float] = []
    for i in range(count):
        x = to_tensor(renders.images[i : i + 1]).contiguous().expand(len(CLASSES), -1, -1, -1)
        ids = tok([f"{c} ." for c in CLASSES], return_tensors="pt").input_ids
        out = model(pixel_values=x, input_ids=ids, attention_mask=torch.ones_like(ids))
        scores = out.logits[:, :, 1].sigmoid()
        size = renders.images.shape[1]
        for k, name in enumerate(CLASSES):
            mine = [p["box_xyxy"] for p in renders.meta[i]["products"] if p["label"] == name]
            best = scores[k].max().item()
            (present if mine else absent).append(best)
            if mine and best > threshold:
                box = box_convert(out.pred_boxes[k, scores[k].argmax()][None], "cxcywh", "xyxy")
                ious.append(box_iou(box * size, torch.tensor(mine).float()).max().item())
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
    workdir: Path, out: Path, renders: Renders, val: Renders, warm: Budget, main: Budget
) -> None:
    """The recipe's step: warm up, train, print held-out figures, export."""
    torch.manual_seed(0)
    tok = detector_model.tokenizer()
    model = detector_model.build(len(tok))
    warm_up(model, renders, workdir=workdir, budget=warm)
    fit(model, tok, renders, workdir=workdir, budget=main)
    print("detector val", evaluate(model, tok, val, 300, 0.3), flush=True)
    detector_model.export(model, out)
