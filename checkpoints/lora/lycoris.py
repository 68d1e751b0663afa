"""Changes of a layer's weight that LyCORIS' files describe: LoHa, LoKr, (IA)³, OFT, DoRA, full.

The arithmetic is that of LyCORIS (github.com/KohakuBlueleaf/LyCORIS) and kohya's networks/oft.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

KINDS = {
    "LoHa": r"hada_(w[12]_[ab]|t[12])",
    "LoKr": r"lokr_(w[12](_[ab])?|t2)",
    "(IA)^3": r"on_input|weight",
    "OFT": r"oft_blocks|rescale",
    "DoRA": r"dora_scale",
    "full difference": r"diff",
}
"""Endings of the keys of a module, behind the dot, by kind."""
_KEY = re.compile(rf"(?P<module>.+?)\.(?P<name>{'|'.join(KINDS.values())})")


def modules(keys: Iterable[str]) -> dict[str, set[str]]:
    """Return the modules of these kinds with the names of their tensors; the rest is plain LoRA."""
    found: dict[str, set[str]] = {}
    for match in filter(None, map(_KEY.fullmatch, keys)):
        found.setdefault(match["module"], set()).add(match["name"])
    return {module: names for module, names in found.items() if names != {"weight"}}


def kind_of(names: set[str]) -> str:
    """Return the kind of a module by the names of its tensors."""
    return next(k for k, form in KINDS.items() if any(re.fullmatch(form, name) for name in names))


def change(
    tensors: Mapping[str, torch.Tensor], weight: torch.Tensor, lora: torch.Tensor | None = None
) -> torch.Tensor:
    """Return what a file adds to a weight.

    Args:
        tensors: those of the module, by name.
        weight: (out, in, …) of the layer.
        lora: the scaled product of a module that has LoRA's two matrices.

    Raises:
        ValueError, KeyError: the tensors do not fit each other or the weight.
    """
    import torch

    t = {name: value.to(weight.device, torch.float32) for name, value in tensors.items()}
    size = weight.numel()
    delta = torch.zeros_like(weight) if lora is None else lora
    if "hada_w1_b" in t:
        product = _product(t, "hada_w1", "hada_t1", size) * _product(t, "hada_w2", "hada_t2", size)
        delta = product * _scale(t, t["hada_w1_b"].shape[0])
    elif any(name.startswith("lokr_") for name in t):
        ranks = [t[n].shape[0] for n in ("lokr_w2_b", "lokr_w1_b") if n in t]
        one, two = _product(t, "lokr_w1", "", size), _product(t, "lokr_w2", "lokr_t2", size)
        _check_size(one.numel() * two.numel(), size)
        one = one.reshape(*one.shape, *[1] * (two.ndim - one.ndim))
        delta = torch.kron(one, two) * (_scale(t, ranks[0]) if ranks else 1)
    elif "on_input" in t:
        ends = [1] * (weight.ndim - 2)
        shape = [1, -1, *ends] if bool(t["on_input"]) else [-1, 1, *ends]
        delta = weight * t["weight"].reshape(shape)
    elif "oft_blocks" in t:
        delta = _rotated(t, weight) - weight
    elif "diff" in t:
        delta = t["diff"]
    if delta.shape[0] != len(weight):
        raise ValueError(f"{delta.shape[0]} rows, the model's layer has {len(weight)}")
    delta = delta.reshape(weight.shape)
    if "dora_scale" in t:
        whole, scale = weight + delta, t["dora_scale"]
        by_input = scale.ndim > 1 and scale.shape[0] == 1 and scale.shape[1] == weight.shape[1]
        kept = 1 if by_input else 0
        axes = [axis for axis in range(weight.ndim) if axis != kept]
        norm = torch.linalg.vector_norm(whole, dim=axes, keepdim=True)
        norm = norm.clamp_min(torch.finfo(norm.dtype).eps)
        delta = whole * (scale.reshape(norm.shape) / norm) - weight
    return delta


def _scale(t: Mapping[str, torch.Tensor], rank: int) -> float:
    return (float(t["alpha"]) if "alpha" in t else 0.0) / rank or 1.0


def _check_size(got: int, expected: int) -> None:
    if got > expected:
        raise ValueError(f"{got} numbers, the model's layer has {expected}")


def _product(t: Mapping[str, torch.Tensor], name: str, core: str, size: int) -> torch.Tensor:
    """A whole matrix, the product of its two, or their Tucker form with a kernel between them, of
    at most `size` numbers."""
    import torch

    if name in t:
        return t[name]
    a, b = t[f"{name}_a"], t[f"{name}_b"]
    if core in t:
        _check_size(a.shape[1] * b.shape[1] * t[core][0, 0].numel(), size)
        return torch.einsum("i j k l, j r, i p -> p r k l", t[core], b, a).contiguous()
    _check_size(a.shape[0] * b[0].numel(), size)
    return (a @ b.flatten(1)).reshape(a.shape[0], *b.shape[1:])


def _rotated(t: Mapping[str, torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    """The weight, its rows turned block by block by Cayley's rotation of a skew matrix."""
    import torch

    blocks = t["oft_blocks"]
    if blocks.ndim != 3:
        raise ValueError("BOFT, whose rotations are chained, is not supported")
    if blocks.shape[0] * blocks.shape[1] != len(weight):
        raise ValueError(f"blocks {list(blocks.shape)}, the model's layer has {len(weight)} rows")
    skew = blocks - blocks.transpose(1, 2)
    limit = float(t["alpha"]) * weight.shape[0] if "alpha" in t else 0.0
    if limit > 0:
        norm = skew.norm() + 1e-8
        skew = skew * (norm.clamp(max=limit) / norm)
    eye = torch.eye(blocks.shape[1], device=blocks.device)
    rotation = (eye + skew) @ torch.linalg.inv(eye - skew)
    rows = weight.reshape(blocks.shape[0], blocks.shape[1], -1)
    out = torch.einsum("k n m, k n p -> k m p", rotation, rows).reshape(weight.shape)
    return out * t["rescale"].reshape(-1, *[1] * (weight.ndim - 1)) if "rescale" in t else out
