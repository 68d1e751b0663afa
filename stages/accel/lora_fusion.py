"""LoRAs added into weights, whose originals wait in main memory and come back bit for bit.

peft's own way back subtracts what was added, which drifts: in bfloat16 by 1/256 of a weight each
time. Works on the layers of peft; knows no files and no prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .memory import main_memory

_SHARE = 1 / 8
"""The share of the machine's main memory that originals may take where nobody asked for them."""


class FusedLoras:
    """The adapters that are added into the weights of some models."""

    def __init__(self) -> None:
        self._originals: dict[Any, tuple[Any, ...]] = {}

    def fuse(self, models: Iterable[Any], names: list[str]) -> None:
        """Add active adapters into the weights, all or, where that fails, none; `names`: of all
        that are active."""
        try:
            self._fuse(models, names)
        except BaseException:  # a layer with one of two adapters would leave out the other
            self.restore()
            raise

    def _fuse(self, models: Iterable[Any], names: list[str]) -> None:
        import torch

        with torch.inference_mode():  # models that were loaded in it can only be changed in it
            for layer in _layers(models):
                mine = [name for name in names if name in layer.active_adapters]
                mine = [name for name in mine if name in layer.lora_A]
                if mine:
                    parameters = _parameters(layer)
                    kept = tuple(p.detach().to("cpu", copy=True) for p in parameters)
                    self._originals[layer] = kept
                    layer.merge(adapter_names=mine)

    def restore(self) -> None:
        """Give every layer its original weights."""
        import torch

        with torch.inference_mode():
            for layer, originals in self._originals.items():
                layer.merged_adapters.clear()
                for parameter, original in zip(_parameters(layer), originals, strict=True):
                    parameter.data.copy_(original)
        self._originals.clear()

    def __bool__(self) -> bool:
        return bool(self._originals)


def pays(models: Iterable[Any]) -> bool:
    """Whether to fuse unasked: weights are at hand, and the originals find room.

    A LoRA beside a layer takes a tenth to a third of the UNet's time, and fusing less than two
    evaluations (benchmarks/speed/fused_loras.py). What is decided is the same on each call, so that
    a picture made again is made alike.
    """
    parameters = [p for layer in _layers(models) for p in _parameters(layer)]
    at_hand = not any(p.is_meta for p in parameters)
    size = sum(p.nbytes for p in parameters)
    return at_hand and size <= main_memory()[0] * _SHARE


def possible(models: Iterable[Any]) -> bool:
    """Whether weights are floats of 16 bits or more, to which a LoRA can be added."""
    weights = [p for layer in _layers(models) for p in _parameters(layer)]
    return all(p.is_floating_point() and p.element_size() > 1 for p in weights)


def _layers(models: Iterable[Any]) -> Iterator[Any]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    for model in models:
        for layer in model.modules():
            if isinstance(layer, BaseTunerLayer):
                yield layer


def _parameters(layer: Any) -> list[Any]:
    """What merging changes."""
    base = layer.get_base_layer()
    return [p for p in (base.weight, getattr(base, "bias", None)) if p is not None]
