"""A pretended GPU: its tensors hold real values and refuse to be mixed with the CPU's, as those of
a GPU do. It computes by the CPU's kernels, in the same precision.

Its device is called `meta`, the only one that torch knows without a driver.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
aten = torch.ops.aten
# What reads tensors of two devices on a GPU too.
_ACROSS = {aten._to_copy.default, aten.copy_.default, aten.index.Tensor, aten.index_put_.default}
ARRIVED: Counter[torch.dtype] = Counter()
_READING = {
    torch.Tensor.item,
    torch.Tensor.tolist,
    torch.Tensor.__bool__,
    torch.Tensor.__int__,
    torch.Tensor.__float__,
    torch.Tensor.__index__,
}
_LOCAL = {aten._local_scalar_dense.default}


class OnCard(torch.Tensor):
    """A tensor of the card over a tensor of the CPU, `inner`."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> OnCard:
        out: OnCard = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
            requires_grad=inner.requires_grad,
        )
        out.inner = inner
        return out

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        return f"OnCard({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    __torch_function__ = torch._C._disabled_torch_function_impl


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation; raises RuntimeError where a tensor is on the other device."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    on_card = any(isinstance(x, OnCard) for x in tensors)
    if on_card and func not in _ACROSS:
        for x in tensors:
            if not isinstance(x, OnCard) and x.dim():
                raise RuntimeError(f"{func}: expected all tensors on {DEVICE}, got one on the cpu")
    asked = kwargs.get("device")
    if asked is not None:
        on_card = torch.device(asked).type == DEVICE.type
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if func is aten.copy_.default:
        on_card = isinstance(args[0], OnCard)
    plain = tree_map(lambda x: x.inner if isinstance(x, OnCard) else x, (args, kwargs))
    out = func(*plain[0], **plain[1])
    if func is aten._to_copy.default and on_card and not isinstance(args[0], OnCard):
        ARRIVED[out.dtype] += out.nbytes
    by_inner = {id(x.inner): x for x in tensors if isinstance(x, OnCard)}

    def wrapped(x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or not on_card or func in _LOCAL:
            return x
        same = by_inner.get(id(x))  # what is changed in place stays itself
        return OnCard(x) if same is None else same

    return tree_map(wrapped, out)


class _Operations(TorchDispatchMode):
    """Makes tensors of the card where a function is asked for its device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _filled(index: Any) -> Any:
    """An index with tensors in place of lists: torch makes a list's on the tensor's device, and
    leaves it unfilled on `meta`."""
    if isinstance(index, tuple):
        return tuple(_filled(part) for part in index)
    return torch.tensor(index) if isinstance(index, list) else index


class _Functions(TorchFunctionMode):
    """What goes past the operations: tensors of Python's numbers. Attention takes its formula."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if func is torch.tensor:  # reads tensors among its numbers
            args = tree_map(lambda x: x.inner.item() if isinstance(x, OnCard) else x, args)
        if func in (torch.tensor, torch.as_tensor) and device is not None:
            return func(*args, **{**kwargs, "device": "cpu"}).to(device)
        if func in _READING and isinstance(args[0], OnCard):
            return func(args[0].inner)
        if func is torch.Tensor.new_tensor:
            own, data = args
            return torch.tensor(data, **{"dtype": own.dtype, **kwargs}).to(own.device)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args = (args[0], _filled(args[1]), *args[2:])
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, key, value, *rest = args
            kwargs = dict(kwargs)
            mask = rest[0] if rest else kwargs.pop("attn_mask", None)
            return aten._scaled_dot_product_attention_math(query, key, value, mask, **kwargs)[0]
        return func(*args, **kwargs)


@contextmanager
def plugged_in() -> Iterator[Counter[torch.dtype]]:
    """Within the block there is the card, without inference mode and autocast, which its tensors do
    not know. Yields the bytes that came from the CPU, by dtype."""
    ARRIVED.clear()
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch, _Operations(), _Functions():
        patch.setattr(torch, "inference_mode", torch.no_grad)
        patch.setattr(torch, "autocast", lambda *args, **options: contextlib.nullcontext())
        patch.setattr(torch, "is_autocast_enabled", lambda *args: False)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            yield ARRIVED
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(overwrite)
