"""LoRA network: which modules get a LoRA, its parameters by name, its scale.

The modules are kohya's (networks/lora.py): in the denoiser the linear and 1×1 layers of each
transformer block; with `conv_dim` also the layers of ResNet, down- and upsampling blocks; in a
text encoder those of attention and MLP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError

if TYPE_CHECKING:
    import torch

ADAPTER = "default"
_DENOISER = ("Transformer2DModel", "ZImageTransformerBlock")
_CONV = ("ResnetBlock2D", "Downsample2D", "Upsample2D")
_TEXT = ("CLIPAttention", "CLIPSdpaAttention", "CLIPMLP")


class NetworkError(UsageError):
    """The LoRA settings do not fit the model."""


@dataclass(frozen=True)
class Layer:
    """One module's LoRA. `down`: (rank, in …); `up`: (out, rank …), both in float32."""

    name: str
    down: torch.Tensor
    up: torch.Tensor
    alpha: float

    @property
    def scale(self) -> float:
        """Factor of up · down."""
        return self.alpha / self.down.shape[0]


def targets(model: Any, *, conv: bool = False, only: Sequence[str] = ()) -> dict[str, bool]:
    """Return the modules that get a LoRA by name; True for convolutions wider than 1 × 1.

    `only`: endings of names (`to_q`, `to_out.0`); raises NetworkError for one that matches none.
    """
    kinds = (*_DENOISER, *_TEXT, *(_CONV if conv else ()))
    found: dict[str, bool] = {}
    for place, block in model.named_modules():
        if type(block).__name__ not in kinds:
            continue
        for name, layer in block.named_modules():
            kind = type(layer).__name__
            wide = kind == "Conv2d" and layer.kernel_size != (1, 1)
            if (kind == "Linear" or kind == "Conv2d") and (conv or not wide):
                found[f"{place}.{name}"] = wide
    for ending in only:
        if not any(_ends(name, ending) for name in found):
            known = sorted({".".join(n.split(".")[-2:]) for n in found})
            raise NetworkError(
                f"target_modules {ending!r}: no such layer; expected some of {', '.join(known)}"
            )
    if only:
        found = {n: wide for n, wide in found.items() if any(_ends(n, e) for e in only)}
    return found


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def attach(
    model: Any,
    *,
    rank: int,
    alpha: float,
    dropout: float = 0.0,
    conv_dim: int | None = None,
    conv_alpha: float | None = None,
    only: Sequence[str] = (),
    seed: int = 0,
) -> None:
    """Freeze a model and add a new LoRA with float32 weights, which has no effect yet.

    Args:
        model: Denoiser or text encoder.
        rank: Rank of linear layers and 1 × 1 convolutions.
        alpha: The LoRA is scaled by alpha / rank.
        dropout: Dropout of the LoRA's input, 0 to 1.
        conv_dim: Rank of wider convolutions; None leaves them out.
        conv_alpha: Their alpha, by default `conv_dim`.
        only: Endings of module names; by default all modules.
        seed: Of the initial weights.
    """
    import torch
    from diffusers.training_utils import cast_training_params
    from peft import LoraConfig

    from .fast_linear import FastLoraLinear

    names = targets(model, conv=conv_dim is not None, only=only)
    wide = [name for name, is_wide in names.items() if is_wide]
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]
        lora_dropout=dropout,
        target_modules=sorted(names),
        rank_pattern=dict.fromkeys(wide, conv_dim) if conv_dim else {},
        alpha_pattern=dict.fromkeys(wide, conv_alpha or float(conv_dim)) if conv_dim else {},
    )
    config._register_custom_module({torch.nn.Linear: FastLoraLinear})
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.add_adapter(config)
    cast_training_params(model, dtype=torch.float32)


def parameters(model: Any) -> dict[str, torch.nn.Parameter]:
    """Return the LoRA's weights by name, in the model's order."""
    return {n: p for n, p in model.named_parameters() if ".lora_" in n and p.requires_grad}


def layers(model: Any) -> Iterator[Layer]:
    """Yield the LoRA of each module that has one, copied to the CPU."""
    for name, module in model.named_modules():
        if ADAPTER not in getattr(module, "lora_A", {}):
            continue
        down = module.lora_A[ADAPTER].weight.detach().float().cpu().clone()
        up = module.lora_B[ADAPTER].weight.detach().float().cpu().clone()
        yield Layer(name, down, up, float(module.lora_alpha[ADAPTER]))


def set_scale(models: Iterable[Any], weight: float) -> None:
    """Set the strength of the LoRA: 1 as trained, 0 off."""
    for model in models:
        for module in model.modules():
            if ADAPTER in getattr(module, "lora_A", {}):
                module.set_scale(ADAPTER, weight)
