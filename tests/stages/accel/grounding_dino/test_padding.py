"""A detector without the work of padding says what transformers' own says, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from visuals.checkpoints import load
from visuals.stages.accel import patching
from visuals.stages.accel.grounding_dino import padding
from visuals.stages.detection import backends


def pictures(*shapes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def test_scores_and_boxes_are_the_same_bit_for_bit(mini: Path) -> None:
    plain, processor = load.load_detector("mini/grounding-dino")
    lean, _ = load.load_detector("mini/grounding-dino")
    patching.install(lean, padding.PATCHES)
    patching.install(lean, padding.PATCHES)
    for images in (pictures((64, 96), (64, 96), (64, 96)), pictures((50, 50))):
        for phrase in ("mug", "wrist watch"):
            old, new = (backends.ask(m, processor, images, phrase) for m in (plain, lean))
            for one, other in zip(old, new, strict=True):
                assert one.scores.std() > 0
                np.testing.assert_array_equal(one.scores, other.scores)
                np.testing.assert_array_equal(one.boxes, other.boxes)


def test_pictures_that_are_padded_keep_their_own_positions(mini: Path) -> None:
    plain, processor = load.load_detector("mini/grounding-dino")
    lean, _ = load.load_detector("mini/grounding-dino")
    patching.install(lean, padding.PATCHES)
    inputs = processor(images=pictures((64, 96), (96, 64)), text=["mug."] * 2, return_tensors="pt")
    assert not inputs["pixel_mask"].all()
    with torch.inference_mode():
        old, new = plain(**inputs), lean(**inputs)
    words = inputs["input_ids"].shape[1]
    assert new.logits.shape[-1] == words < old.logits.shape[-1]
    assert torch.equal(old.logits[..., :words], new.logits)
    assert torch.isneginf(old.logits[..., words:]).all()
    assert torch.equal(old.pred_boxes, new.pred_boxes)


def test_training_is_left_to_the_library(mini: Path) -> None:
    lean, processor = load.load_detector("mini/grounding-dino")
    patching.install(lean, padding.PATCHES)
    inputs = processor(images=pictures((64, 64)), text=["mug."], return_tensors="pt")
    assert lean(**inputs).logits.shape[-1] == lean.config.max_text_len
