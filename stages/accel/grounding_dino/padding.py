"""Grounding DINO without the work that padding makes: scores of absent words, and the same
positions again for each picture of a batch.

Scores and boxes stay the same, bit for bit. Works on the modules of transformers.
"""

from __future__ import annotations

from typing import Any

from ..patching import Forward, Patch


def _contrastive(module: Any) -> Forward:
    """Logits of the phrase's own words, in place of 256 filled up with -inf."""
    original = module.forward

    def forward(vision_hidden_state: Any, text_hidden_state: Any, text_token_mask: Any) -> Any:
        import torch

        if torch.is_grad_enabled():
            return original(vision_hidden_state, text_hidden_state, text_token_mask)
        logits = vision_hidden_state @ text_hidden_state.transpose(-1, -2)
        return logits.masked_fill(~text_token_mask[:, None, :], float("-inf"))

    return forward


def _positions(module: Any) -> Forward:
    """Positions of unpadded pictures, computed once a batch."""
    original = module.forward

    def forward(pixel_values: Any, pixel_mask: Any) -> Any:
        # On a GPU `all()` would wait for the device.
        if pixel_mask.device.type != "cpu" or not pixel_mask.all():
            return original(pixel_values, pixel_mask)
        one = original(pixel_values[:1], pixel_mask[:1])
        return one.expand(len(pixel_mask), *one.shape[1:])

    return forward


PATCHES = (
    Patch(
        ("GroundingDinoContrastiveEmbedding",),
        "vision_hidden_state, text_hidden_state, text_token_mask",
        _contrastive,
    ),
    Patch(
        ("GroundingDinoSinePositionEmbedding", "MMGroundingDinoSinePositionEmbedding"),
        "pixel_values, pixel_mask",
        _positions,
    ),
)
