"""Grounding DINO without the work that padding makes: scores of words that are not there, and the
same positions anew for each picture. Knows transformers' modules; no pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import patching


def hasten(model: Any) -> None:
    """A detector that is not trained gives the logits of its phrase's words alone, which
    transformers fills up with -inf to 256, and makes the positions of unpadded pictures once a
    batch. Scores and boxes stay the same, bit for bit. Twice does no more than once."""
    patching.for_good(model, _FORWARDS)


def _words(module: Any) -> Callable[..., Any]:
    whole = module.forward

    def forward(vision_hidden_state: Any, text_hidden_state: Any, text_token_mask: Any) -> Any:
        import torch

        if torch.is_grad_enabled():
            return whole(vision_hidden_state, text_hidden_state, text_token_mask)
        logits = vision_hidden_state @ text_hidden_state.transpose(-1, -2)
        return logits.masked_fill(~text_token_mask[:, None, :], float("-inf"))

    return forward


def _positions(module: Any) -> Callable[..., Any]:
    whole = module.forward

    def forward(pixel_values: Any, pixel_mask: Any) -> Any:
        # On a GPU it would wait for the answer.
        if pixel_mask.device.type != "cpu" or not pixel_mask.all():
            return whole(pixel_values, pixel_mask)
        one = whole(pixel_values[:1], pixel_mask[:1])
        return one.expand(len(pixel_mask), *one.shape[1:])

    return forward


_FORWARDS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "GroundingDinoContrastiveEmbedding": _words,
    "GroundingDinoSinePositionEmbedding": _positions,
    "MMGroundingDinoSinePositionEmbedding": _positions,
}
