"""Deformable attention by one gather says what transformers' own module says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.grounding_parts import part

from visuals.checkpoints import load
from visuals.stages.accel import patching
from visuals.stages.accel.grounding_dino import deformable_attention
from visuals.stages.detection import backends

SHAPES = [(6, 5), (3, 4), (1, 1)]
TOKENS = sum(height * width for height, width in SHAPES)


def module(kind: str) -> Any:
    config = {"d_model": 48, "num_feature_levels": 3}
    return part(kind, "MultiscaleDeformableAttention", config, num_heads=4, n_points=2)


def asked(coordinates: int) -> dict[str, Any]:
    """Some points lie outside of the picture, some tokens are padding."""
    torch.manual_seed(1)
    batch, queries = 3, 7
    mask = torch.rand(batch, TOKENS) > 0.2
    return {
        "hidden_states": torch.randn(batch, queries, 48),
        "attention_mask": mask,
        "encoder_hidden_states": torch.randn(batch, TOKENS, 48),
        "position_embeddings": torch.randn(batch, queries, 48),
        "reference_points": torch.rand(batch, queries, 3, coordinates) * 1.6 - 0.3,
        "spatial_shapes": torch.tensor(SHAPES),
        "spatial_shapes_list": SHAPES,
        "level_start_index": torch.tensor([0, 30, 42]),
    }


@pytest.mark.parametrize("kind", ["grounding", "mm"])
@pytest.mark.parametrize("coordinates", [2, 4])
def test_the_sums_are_the_same(kind: str, coordinates: int) -> None:
    made = module(kind)
    options = asked(coordinates)
    states = options.pop("hidden_states")
    with torch.inference_mode():
        whole, _ = made(states, **options)
        patching.install(made, [deformable_attention.PATCH])
        gathered, _ = made(states, **options)
    assert whole.std() > 0.1
    torch.testing.assert_close(gathered, whole, rtol=1e-4, atol=1e-5)


def test_training_and_attention_weights_are_left_to_the_library() -> None:
    made = module("grounding")
    options = asked(2)
    states = options.pop("hidden_states")
    patching.install(made, [deformable_attention.PATCH])
    patching.install(made, [deformable_attention.PATCH])
    out, _ = made(states, **options)
    out.sum().backward()
    assert made.sampling_offsets.weight.grad.abs().sum() > 0
    with torch.inference_mode():
        assert made(states, **options, output_attentions=True)[1] is not None


def test_a_detector_finds_the_same_boxes(mini: Path) -> None:
    model, processor = load.load_detector("mini/grounding-dino")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (90, 120, 3), np.uint8) for _ in range(2)]
    whole = backends.ask(model, processor, images, "mug")
    patching.install(model, [deformable_attention.PATCH])
    for one, other in zip(whole, backends.ask(model, processor, images, "mug"), strict=True):
        np.testing.assert_allclose(other.scores, one.scores, atol=1e-5)
        np.testing.assert_allclose(other.boxes, one.boxes, atol=1e-2)
