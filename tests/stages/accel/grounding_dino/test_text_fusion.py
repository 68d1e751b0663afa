"""The fusion in which only words are projected says what transformers' own module says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.grounding_parts import part

from visuals.checkpoints import load
from visuals.stages.accel import patching
from visuals.stages.accel.grounding_dino import text_fusion
from visuals.stages.detection import backends

PLACES, WORDS = 37, 5


def module(kind: str) -> Any:
    config = {"d_model": 48, "encoder_ffn_dim": 128, "encoder_attention_heads": 8}
    return part(kind, "BiMultiHeadAttention", config)


def asked(words: int, masked: bool) -> dict[str, Any]:
    torch.manual_seed(1)
    nothing = {"vision_attention_mask": None, "text_attention_mask": None}
    if masked:
        nothing = {
            "vision_attention_mask": torch.rand(3, PLACES) > 0.7,
            "text_attention_mask": torch.arange(words)[None] >= torch.tensor([[words], [1], [3]]),
        }
    features = {"vision_features": torch.randn(3, PLACES, 48)}
    return {**features, "text_features": torch.randn(3, words, 48), **nothing}


@pytest.mark.parametrize("kind", ["grounding", "mm"])
@pytest.mark.parametrize("masked", [False, True])
def test_both_directions_are_the_same(kind: str, masked: bool) -> None:
    made, options = module(kind), asked(WORDS, masked)
    with torch.inference_mode():
        whole = made(**options)
        projected: list[int] = []
        made.vision_proj.register_forward_hook(lambda *_: projected.append(1))
        patching.install(made, [text_fusion.PATCH])
        lean = made(**options)
    assert not projected, "the picture was projected all the same"
    for ours, theirs in zip(lean, whole, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.shape == other.shape and other.std() > 0
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)


def test_many_words_and_training_are_left_to_the_library() -> None:
    made = module("grounding")
    projected: list[int] = []
    made.vision_proj.register_forward_hook(lambda *_: projected.append(1))
    patching.install(made, [text_fusion.PATCH])
    with torch.inference_mode():
        made(**asked(made.embed_dim // made.num_heads, False))
    assert len(projected) == 1
    made(**asked(WORDS, False))
    assert len(projected) == 2


def test_a_detector_scores_as_ever(mini: Path) -> None:
    plain, processor = load.load_detector("mini/grounding-dino")
    lean, _ = load.load_detector("mini/grounding-dino")
    patching.install(lean, [text_fusion.PATCH])
    patching.install(lean, [text_fusion.PATCH])
    rng = np.random.default_rng(5)
    images = [rng.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(3)]
    for phrase in ("mug", "wrist watch"):
        old, new = (backends.ask(m, processor, images, phrase) for m in (plain, lean))
        for one, other in zip(old, new, strict=True):
            assert one.scores.std() > 0
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)
