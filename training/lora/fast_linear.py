"""Faster trainable LoRA linear layer: peft's `Linear` with cheaper low-rank products.

Computes the same sums as peft: y = W x + b + scale · B (A x). The low-rank products take little
arithmetic but many passes over memory; here each is added in place, scaled in the same pass, in the
layout that matrix libraries compute fastest.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch.nn.functional import linear

_WHOLE = ({torch.float32}, {torch.float64})
"""Precisions of input, W and LoRA that are handled here; peft casts half precision."""


class FastLoraLinear(Linear):  # type: ignore[misc]
    """peft's `Linear` with a faster forward pass for a single LoRA in one precision."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        name = self._plain(x) if not (args or kwargs) else None
        if name is None:
            output: torch.Tensor = super().forward(x, *args, **kwargs)
            return output
        base, down, up = self.base_layer, self.lora_A[name].weight, self.lora_B[name].weight
        out: torch.Tensor = _Thin.apply(x, base.weight, base.bias, down, up, self.scaling[name])
        return out

    def _plain(self, x: torch.Tensor) -> str | None:
        """The adapter's name if the fast forward pass applies, else None."""
        names = self.active_adapters
        if len(names) != 1 or names[0] not in self.lora_A or self.disable_adapters or self.merged:
            return None
        name: str = names[0]
        down, base = self.lora_A[name].weight, self.base_layer
        kept = name in self.lora_variant or self.lora_bias[name]
        drops = self.training and not isinstance(self.lora_dropout[name], torch.nn.Identity)
        learns = base.weight.requires_grad or (base.bias is not None and base.bias.requires_grad)
        kinds = {x.dtype, base.weight.dtype, down.dtype}
        if kept or drops or learns or kinds not in _WHOLE or type(base) is not torch.nn.Linear:
            return None
        mixed = torch.is_autocast_enabled(x.device.type) or torch.compiler.is_compiling()
        return None if mixed else name


class _Thin(torch.autograd.Function):
    """Forward and backward pass; gradients of x, A and B, while W and b are frozen."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        inner = linear(rows, down)
        out = linear(rows, weight, bias).addmm_(inner, up.t(), alpha=scale)
        ctx.save_for_backward(rows, weight, down, up, inner)
        ctx.scale, ctx.shape = scale, x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        rows, weight, down, up, inner = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1])
        wants_x, _, _, wants_down, wants_up, _ = ctx.needs_input_grad
        # B's few columns as rows, and the thin factor on the left: 4 to 10 times as fast on a CPU
        back = linear(grad, up.t().contiguous()) * ctx.scale if wants_x or wants_down else None
        for_x = for_down = for_up = None
        if back is not None and wants_down:
            for_down = back.t() @ rows
        if wants_up:
            for_up = (inner.t() @ grad).t() * ctx.scale
        if back is not None and wants_x:
            for_x = (grad @ weight).addmm_(back, down).view(ctx.shape)
        return for_x, None, None, for_down, for_up, None
