"""The small Grounding DINO's losses.

Every encoder location in the middle of a box, and every decoder query that starts near one,
answers for it (one to many, as in ATSS and group-DETR); duplicates are left to the pipeline's
non-maximum suppression. The scores learn the predicted box's IoU (quality focal loss, Li et al.
2020), so that suppression keeps the best box. transformers' own loss is not used: it mixes up
class labels where the prompts of a batch differ in length.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torchvision.ops import box_convert, box_iou, generalized_box_iou

Truth = tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, list[int]]]
"""Boxes (n, 4), their classes (n,), and token position and class of each phrase."""


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
    cost = torch.where(inside, area[None], 9.0)
    best, which = cost.min(1)
    return torch.where(best < 9.0, which, -1)


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
    target = logits.new_zeros(len(logits), 2 * len(position) + 2)
    hit = owner >= 0
    box_loss = coords.sum() * 0.0
    if hit.any():
        mine = boxes[owner[hit]]
        a, b = box_convert(coords[hit], "cxcywh", "xyxy"), box_convert(mine, "cxcywh", "xyxy")
        iou = torch.diag(box_iou(a.detach(), b)) if not hard else a.new_ones(len(a))
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
    mask = torch.ones(text.shape[:2], dtype=torch.bool, device=text.device)
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
    total = text.new_zeros(())
    numbers: dict[str, float] = {}
    named = [("enc", encoder), *((f"d{k}", layer) for k, layer in enumerate(layers))]
    for name, (logits, coords) in named:
        cls, box, hits = text.new_zeros(()), text.new_zeros(()), 0
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
                owner = points.new_full((logits.shape[1],), -1).long()
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
