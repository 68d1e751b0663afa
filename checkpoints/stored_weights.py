"""Stores the weights of large transformers in fewer bits than they compute in.

Linear layers of the repeated blocks are stored in 8 bits (float8 e4m3, by diffusers' layerwise
casting) or 4 bits (NF4, by bitsandbytes); they are nearly all of a transformer. What comes before
and after the blocks, norms and embeddings stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from ..configs.errors import MissingDependencyError

Weights = Literal["full", "fp8", "4bit"]
_NF4_BLOCK, _NF4_NESTED = 64, 256
"""Weights that share a scale of 8 bits, and scales that share one of 32."""


def apply(pipe: Any, weights: Weights, dtype: Any) -> None:
    """Store the large parts of a pipeline that draws by a transformer, which computes in `dtype`.

    A pipeline with a UNet stays as it is, and so do the VAE and CLIP, which are small.
    """
    if hasattr(pipe, "transformer"):
        for name in ("transformer", "text_encoder", "text_encoder_2", "text_encoder_3"):
            store(getattr(pipe, name, None), weights, dtype)


def store(model: Any, weights: Weights, dtype: Any) -> None:
    """Store the blocks of one model. None and CLIP's encoders stay as they are.

    Raises:
        MissingDependencyError: bitsandbytes is not installed.
    """
    layers = [] if weights == "full" else list(block_layers(model))
    if weights == "4bit":
        _to_4_bits(model, [name for name, _ in layers], dtype)
    elif layers:
        import torch
        from diffusers.hooks.layerwise_casting import apply_layerwise_casting_hook

        for _, layer in layers:
            apply_layerwise_casting_hook(layer, torch.float8_e4m3fn, dtype, non_blocking=False)


def block_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the linear layers within the repeated blocks of a model, with their names.

    T5's `wo` is left out: T5 casts to the dtype of its weights what it is about to multiply.
    """
    import torch

    if model is None or str(getattr(model.config, "model_type", "")).startswith("clip"):
        return
    for name, layer in model.named_modules():
        in_a_block = re.search(r"\.\d+\.", name) and not name.endswith(".wo")
        if in_a_block and isinstance(layer, torch.nn.Linear):
            yield name, layer


def size(model: Any, weights: Weights) -> int:
    """Return the bytes of a model's weights as they would be stored; it may be on `meta`."""
    stored = {id(p) for _, layer in block_layers(model) for p in layer.parameters(recurse=False)}
    bytes_ = 0.0
    for parameter in model.parameters():
        if weights == "full" or id(parameter) not in stored:
            each: float = parameter.element_size()
        elif weights == "fp8":
            each = 1
        elif parameter.dim() == 1:  # a bias
            each = parameter.element_size()
        else:
            each = 0.5 + 1 / _NF4_BLOCK + 4 / _NF4_BLOCK / _NF4_NESTED
        bytes_ += parameter.numel() * each
    return round(bytes_)


def _to_4_bits(model: Any, names: list[str], dtype: Any) -> None:
    """Put layers of bitsandbytes in the place of the named ones, one after the other."""
    import torch

    if not names:
        return
    try:
        import bitsandbytes
    except ImportError:
        raise MissingDependencyError("bitsandbytes", "quantize") from None
    for name in names:
        path, _, last = name.rpartition(".")
        parent, old = model.get_submodule(path), model.get_submodule(name)
        with torch.device("meta"):
            new = bitsandbytes.nn.Linear4bit(
                old.in_features, old.out_features, old.bias is not None, dtype, quant_type="nf4"
            )
        new.weight = bitsandbytes.nn.Params4bit(
            old.weight.data.to(dtype), requires_grad=False, quant_type="nf4", module=new
        )
        new.bias = old.bias
        setattr(parent, last, new.to(old.weight.device))  # the move is what quantises
