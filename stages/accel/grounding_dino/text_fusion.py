"""Grounding DINO's fusion of picture and words, without projections of the whole picture.

A phrase has a handful of words, a picture thousands of places. (V Wq)(T Wk)ᵀ, P (T Wv) Wo and
Pᵀ (V Wv) of transformers are V (T Wk Wqᵀ)ᵀ, P (T Wv Wo) and (Pᵀ V) Wv, in which words alone are
projected. Knows transformers' module and its weights' names; no pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import patching

_MODULES = ("GroundingDinoBiMultiHeadAttention", "MMGroundingDinoBiMultiHeadAttention")


def hasten(model: Any) -> None:
    """Every fusion of a detector that is in float32 and not in training gives its outputs by
    `_attend`, where the phrase has fewer words than pay; they differ by rounding (1e-6). Twice does
    no more than once."""
    patching.for_good(model, dict.fromkeys(_MODULES, _forward))


def _forward(module: Any) -> Callable[..., Any]:
    import torch

    whole = module.forward

    def forward(
        vision_features: Any,
        text_features: Any,
        vision_attention_mask: Any = None,
        text_attention_mask: Any = None,
    ) -> Any:
        masks = vision_attention_mask, text_attention_mask
        many = text_features.shape[1] * module.num_heads >= module.embed_dim
        if many or torch.is_grad_enabled() or vision_features.dtype != torch.float32:
            return whole(vision_features, text_features, *masks)
        return _attend(module, vision_features, text_features, *masks)

    return forward


def _attend(module: Any, vision: Any, text: Any, no_place: Any, no_word: Any) -> Any:
    """Both directions of the fusion (GLIP, arXiv 2112.03857, eq. 4 to 6) and their weights.

    `vision` (B, N, C), `text` (B, T, C); masks (B, N) and (B, T) are true where there is nothing.
    """
    import torch

    heads, size = module.num_heads, module.head_dim
    batch, words = text.shape[:2]

    def apart(projected: Any) -> Any:  # (B, T, heads × D) → (B, heads, T, D)
        return projected.view(batch, words, heads, size).transpose(1, 2)

    query, value, out = module.vision_proj, module.values_vision_proj, module.out_vision_proj
    keys = apart(module.text_proj(text)) * module.scale
    folded = keys @ query.weight.view(heads, size, -1)  # (B, heads, T, C)
    offset = keys @ query.bias.view(heads, size, 1)
    logits = torch.baddbmm(offset.flatten(1, 2), folded.flatten(1, 2), vision.transpose(1, 2))
    logits = logits.view(batch, heads, words, -1)

    of_places = logits
    if no_place is not None:
        of_places = logits.masked_fill(no_place[:, None, None, :], float("-inf"))
    of_places = of_places.softmax(-1)
    seen = (of_places.flatten(1, 2) @ vision).view(batch, heads, words, -1)
    taken = seen @ value.weight.view(heads, size, -1).transpose(1, 2)
    taken = taken + value.bias.view(heads, 1, size)  # whole, since the weights' sum is 1
    to_words = module.out_text_proj(taken.transpose(1, 2).flatten(2))

    of_words = logits
    if no_word is not None:
        of_words = logits.masked_fill(no_word[:, None, :, None], float("-inf"))
    of_words = of_words.softmax(2)
    given = apart(module.values_text_proj(text)) @ out.weight.view(-1, heads, size).permute(1, 2, 0)
    rows = of_words.flatten(1, 2).transpose(1, 2)  # (B, N, heads × T)
    to_places = torch.baddbmm(out.bias, rows, given.flatten(1, 2))
    weights = of_words.transpose(2, 3).flatten(0, 1), of_places.flatten(0, 1)
    return (to_places, weights[0]), (to_words, weights[1])
