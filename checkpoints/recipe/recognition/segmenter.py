"""The small SAM: a jittered box in a close-up of a product to its mask.

Learned on close-ups because the pipeline shows it close-ups (`segment.crop_padding`): on whole
128-px pictures it ignored the box in company and had eight pixels to a patch (docs/decisions).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from ..diffusion.vae import to_tensor
from ..pictures.augment import box_of, soften
from ..pictures.randomise import randomise
from ..pictures.rendered_pictures import Renders
from ..training.train_loop import Budget, device_of, train

if TYPE_CHECKING:
    from transformers import SamModel

SIZE = 96
PADDING = 0.2
"""The crop's padding at run time, a share of the box's longer side; the preset uses the same."""


def build(size: int = SIZE, width: int = 64, prompt: int = 64) -> SamModel:
    """A fresh SAM of about 0.4 M parameters; patches of 4 pixels, masks at the picture's size."""
    from transformers import (
        SamConfig,
        SamMaskDecoderConfig,
        SamModel,
        SamPromptEncoderConfig,
        SamVisionConfig,
    )

    vision = SamVisionConfig(
        hidden_size=width,
        output_channels=prompt,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=size,
        patch_size=4,
        window_size=8,
        global_attn_indexes=[3],
        num_pos_feats=prompt // 2,
        mlp_dim=2 * width,
        use_rel_pos=False,  # half the time of a step
    )
    prompts = SamPromptEncoderConfig(
        hidden_size=prompt, image_size=size, patch_size=4, mask_input_channels=8
    )
    decoder = SamMaskDecoderConfig(
        hidden_size=prompt,
        mlp_dim=2 * prompt,
        num_hidden_layers=2,
        num_attention_heads=4,
        iou_head_hidden_dim=prompt,
    )
    return SamModel(
        SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    )


Example = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Image uint8 (SIZE, SIZE, 3), box xyxy in its pixels, mask float (SIZE, SIZE)."""


def close_up(
    image: np.ndarray, seen: np.ndarray, box: np.ndarray, padding: float, *, inside: bool = True
) -> Example:
    """The square round a box, padded; moved into the picture (`inside`) or cut off at its edge.

    What is not square is filled with grey below or to the right, as SAM's processor does.
    """
    height, width = seen.shape
    side = min(max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * padding), height, width)
    x0, y0 = (box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2
    if inside:
        x0, y0 = np.clip(x0, 0, width - side), np.clip(y0, 0, height - side)
    left, top = max(0, round(x0)), max(0, round(y0))
    right, bottom = min(width, round(x0 + side)), min(height, round(y0 + side))
    scale = SIZE / max(right - left, bottom - top)
    shape = round((right - left) * scale), round((bottom - top) * scale)
    out = np.full((SIZE, SIZE, 3), 127, np.uint8)
    mask = np.zeros((SIZE, SIZE), np.float32)
    out[: shape[1], : shape[0]] = cv2.resize(image[top:bottom, left:right], shape)
    cut = seen[top:bottom, left:right].astype(np.float32)
    mask[: shape[1], : shape[0]] = cv2.resize(cut, shape)
    return out, (box - (left, top, left, top)) * scale, mask


def example(
    renders: Renders, i: int, rng: np.random.Generator, things: Renders | None = None
) -> Example | None:
    """A close-up of one product of a picture, its box jittered by up to a tenth, or None.

    `things`: renders of what is no product, for domain randomisation; None: without it.
    """
    products = renders.meta[i]["products"]
    if not products:
        return None
    image, instances = np.array(renders.images[i]), np.array(renders.instances[i])
    if rng.random() < 0.5:
        image, instances = np.ascontiguousarray(image[:, ::-1]), instances[:, ::-1]
    if things is not None and rng.random() < 0.6:
        image, instances = randomise(image, instances, things, rng)
    seen = instances == products[rng.integers(len(products))]["instance"]
    tight = box_of(seen)
    if tight is None or seen.sum() < 60:
        return None
    box = np.array(tight, float)
    w, h = box[2] - box[0], box[3] - box[1]
    box += rng.uniform(-0.1, 0.1, 4) * (w, h, w, h) * (rng.random() < 0.85)
    box = box.clip(0, image.shape[0])
    padding = rng.uniform(0.5 * PADDING, 1.6 * PADDING)
    return close_up(soften(image, rng), seen, box, padding, inside=bool(rng.random() < 0.85))


def mask_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy and dice of (N, H, W) logits against masks 0..1."""
    p = logits.sigmoid()
    both = 2 * (p * truth).sum((1, 2)) + 1
    dice = 1 - both / (p.sum((1, 2)) + truth.sum((1, 2)) + 1)
    return 4 * F.binary_cross_entropy_with_logits(logits, truth) + dice.mean()


def masks_of(model: SamModel, x: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(logits (N, H, W) at the picture's size, predicted IoU (N,)) of one box a picture."""
    out = model(pixel_values=x, input_boxes=boxes[:, None], multimask_output=False)
    logits = F.interpolate(out.pred_masks[:, 0], x.shape[-2:], mode="bilinear", align_corners=False)
    return logits[:, 0], out.iou_scores[:, 0, 0]


def iou(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    a, b = logits > 0, truth > 0.5
    return (a & b).sum((1, 2)) / (a | b).sum((1, 2)).clamp(min=1)


def fit(
    model: SamModel,
    renders: Renders,
    *,
    workdir: Path,
    budget: Budget,
    batch: int = 16,
    things: Renders | None = None,
    decoded: Renders | None = None,
) -> None:
    """Train on close-ups, half of them from pictures that show several things.

    Args:
        model: From `build`.
        renders: What to learn from.
        workdir: Where the state is kept.
        budget: How long.
        batch: Close-ups a step.
        things: For domain randomisation, see `example`.
        decoded: Renders drawn anew by the diffusion model, a third of the close-ups.
    """
    device = device_of(model)
    crowded = [i for i, m in enumerate(renders.meta) if len(m["products"]) + len(m["others"]) > 1]

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        shots: list[Example] = []
        while len(shots) < batch:
            any_ = int(rng.integers(len(renders)))
            i = int(rng.choice(crowded)) if rng.random() < 0.5 else any_
            if decoded is not None and rng.random() < 0.33:
                shot = example(decoded, int(rng.integers(len(decoded))), rng)
            else:
                shot = example(renders, i, rng, things)
            if shot is not None:
                shots.append(shot)
        x = to_tensor(np.stack([s[0] for s in shots])).contiguous().to(device)
        boxes = torch.from_numpy(np.stack([s[1] for s in shots])).float().to(device)
        truth = torch.from_numpy(np.stack([s[2] for s in shots])).float().to(device)
        logits, guess = masks_of(model, x, boxes)
        score = iou(logits.detach(), truth)
        loss = mask_loss(logits, truth) + 0.1 * (guess - score).square().mean()
        return loss, {"iou": score.mean().item()}

    train(
        "segmenter", workdir=workdir, modules={"sam": model}, loss_fn=loss_fn, budget=budget, seed=8
    )


@torch.no_grad()
def evaluate(model: SamModel, renders: Renders, count: int) -> dict[str, float]:
    """Mean mask IoU in close-ups with the exact boxes of the first `count` pictures."""
    values = []
    device = device_of(model)
    for i in range(min(count, len(renders))):
        for product in renders.meta[i]["products"]:
            seen = renders.instances[i] == product["instance"]
            box = np.array(product["box_xyxy"], float)
            image, box, mask = close_up(np.array(renders.images[i]), seen, box, PADDING)
            x, truth = to_tensor(image[None]).contiguous(), torch.from_numpy(mask[None])
            prompt = torch.from_numpy(box[None]).float().to(device)
            logits, _ = masks_of(model, x.to(device), prompt)
            values.append(iou(logits.cpu(), truth).item())
    return {"mask_iou": float(np.mean(values)), "worst_tenth": float(np.quantile(values, 0.1))}


def export(model: SamModel, folder: Path, size: int = SIZE) -> None:
    """Write model (fp16) and processor as the hub lays them out."""
    from transformers import SamImageProcessor, SamProcessor

    model.half().save_pretrained(folder)
    model.float()
    SamProcessor(
        SamImageProcessor(
            size={"longest_edge": size},
            pad_size={"height": size, "width": size},
            mask_size={"longest_edge": size},
            mask_pad_size={"height": size, "width": size},
            image_mean=[0.5, 0.5, 0.5],
            image_std=[0.5, 0.5, 0.5],
        )
    ).save_pretrained(folder)


def run(
    workdir: Path,
    out: Path,
    renders: Renders,
    val: Renders,
    budget: Budget,
    model: SamModel,
    things: Renders | None = None,
    decoded: Renders | None = None,
) -> None:
    """The recipe's step: train, print held-out figures, export; see `fit`."""
    fit(model, renders, workdir=workdir, budget=budget, things=things, decoded=decoded)
    print("segmenter val", evaluate(model, val, 200), flush=True)
    export(model, out)
