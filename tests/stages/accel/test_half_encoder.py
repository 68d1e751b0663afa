"""A SAM that encodes in half precision masks as in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import family_models
from helpers.small_trainings import NAMES, PHOTOS
from PIL import Image

from visuals.checkpoints import load
from visuals.stages.accel import half_encoder
from visuals.stages.segment import Segmenter
from visuals.stages.shot import Detection, FileInput, Shot


def shots(side: int) -> list[Shot]:
    box = Detection((0.1 * side, 0.1 * side, 0.9 * side, 0.9 * side), 0.9, "mug")
    pictures = (Image.open(PHOTOS / f"{name}.jpg").convert("RGB") for name in NAMES)
    return [
        Shot(str(k), FileInput("a.png", 1), ("mug",), image=np.array(p), detections=(box,))
        for k, p in enumerate(picture.resize((side, side)) for picture in pictures)
    ]


def masks(model: Any, processor: Any, dtype: Any, count: int = 5) -> list[np.ndarray]:
    stage = Segmenter(model, processor, min_ratio=0, encoder_dtype=dtype)
    done = stage(shots(256)[:count])
    return [d.mask for shot in done for d in shot.detections if d.mask is not None]


def alike(model: Any, processor: Any, dtype: Any, count: int = 5) -> list[float]:
    """The IoU of each mask in half precision with that in float32."""
    whole = masks(model, processor, None, count)
    with torch.no_grad():
        half = masks(model, processor, dtype, count)
    assert len(whole) == len(half) == count and all(0 < m.mean() < 1 for m in whole)
    return [float((a & b).sum() / (a | b).sum()) for a, b in zip(whole, half, strict=True)]


def test_the_embedded_sam(mini: Path) -> None:
    model, processor = load.load_segmenter("mini/sam")
    seen = []
    handle = model.vision_encoder.layers[0].attn.qkv.register_forward_hook(
        lambda module, args, out: seen.append(out.dtype)
    )
    assert min(alike(model, processor, torch.float16)) >= 0.99
    handle.remove()
    assert set(seen) == {torch.float32, torch.float16}
    half_encoder.remove(model)
    assert "forward" not in vars(model.vision_encoder)


def test_sam_vit_b_of_random_weights() -> None:
    """Its real width and depth, at a quarter of its side."""
    from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor

    config = SamConfig(vision_config={"image_size": 256})
    config.prompt_encoder_config.image_size = 256
    config.prompt_encoder_config.image_embedding_size = 16
    torch.manual_seed(0)
    model = SamModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "positional_embedding" in name:
                weight.normal_()  # as the published weights have it
            elif weight.ndim > 1:
                weight.normal_(0, weight[0].numel() ** -0.5)
    side = {"height": 256, "width": 256}
    low = {"height": 64, "width": 64}
    images = SamImageProcessor(
        size={"longest_edge": 256}, pad_size=side, mask_size={"longest_edge": 64}, mask_pad_size=low
    )
    assert min(alike(model, SamProcessor(images), torch.float16, 1)) >= 0.99


@pytest.mark.parametrize("name", ["sam_hq", "sam2"])
def test_sam_hq_likewise_and_others_are_left_alone(tmp_path: Path, name: str) -> None:
    model, processor = load.load_segmenter(family_models.write(name, tmp_path / name))
    both = [masks(model, processor, dtype, 2) for dtype in (None, torch.bfloat16)]
    assert [m.shape for m in both[0]] == [m.shape for m in both[1]] == [(256, 256)] * 2
    assert ("forward" in vars(model.vision_encoder)) is (name == "sam_hq")
