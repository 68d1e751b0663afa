"""Grounding DINO's fusion of picture and words, without projections of the whole picture.

A phrase has a handful of words, a picture thousands of places. What transformers computes as
(V Wq)(T Wk)ᵀ, P (T Wv) Wo and Pᵀ (V Wv) equals V (T Wk Wqᵀ)ᵀ, P (T Wv Wo) and (Pᵀ V) Wv, in which
only words are projected; outputs differ by rounding (1e-6). Works on the modules of transformers.
"""

from __future__ import annotations

from typing import Any

from ..patching import Forward, Patch


def _forward(module: Any) -> Forward:
    """`_attend` in float32 inference with few words, else the library's own."""
    import torch

    original = module.forward

    def forward(
        vision_features: Any,
        text_features: Any,
        vision_attention_mask: Any = None,
        text_attention_mask: Any = None,
    ) -> Any:
        masks = vision_attention_mask, text_attention_mask
        many = text_features.shape[1] * module.num_heads >= module.embed_dim
        if many or torch.is_grad_enabled() or vision_features.dtype != torch.float32:
            return original(vision_features, text_features, *masks)
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


PATCH = Patch(
    ("GroundingDinoBiMultiHeadAttention", "MMGroundingDinoBiMultiHeadAttention"),
    "vision_features, text_features, vision_attention_mask, text_attention_mask",
    _forward,
)
