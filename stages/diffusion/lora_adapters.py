"""Attaches LoRAs to a pipeline with weights, several at a time, fuses them, takes them off.

Files are safetensors in kohya's, diffusers' or PEFT's format. Each is loaded once per pipeline; a
change of tags only switches adapters and their weights.
"""

from __future__ import annotations

import contextlib
import logging
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ...checkpoints.identify import base_family
from ...checkpoints.lora.file import PARTS, LoraFile, LoraFileError
from ...checkpoints.lora.search import LoraNotFoundError
from ...configs.errors import one_line
from ..accel import lora_fusion
from ..accel.lora_fusion import FusedLoras
from ..prompts.lora_tags import LoraTag
from .family import denoiser


@dataclass
class _State:
    """The adapters of a denoiser and its text encoders. `dirty`: the active weights may differ from
    `weights`."""

    adapters: dict[Path, str] = field(default_factory=dict)
    weights: dict[str, tuple[float, float]] = field(default_factory=dict)
    fused: FusedLoras = field(default_factory=FusedLoras)
    dirty: bool = False


_STATES: WeakKeyDictionary[Any, _State] = WeakKeyDictionary()
"""By denoiser: pipelines that share one share its adapters."""
FindLora = Callable[[str], LoraFile]
"""The file of a LoRA's name; raises LoraNotFoundError or LoraFileError."""


def fused(asked: bool | None, accelerate: bool) -> bool | None:
    """`fuse` of `attach` for a stage: unasked, only where stages are accelerated."""
    return asked if accelerate or asked is not None else False


def no_loras(name: str) -> LoraFile:
    """A FindLora for a stage that has no folders of LoRAs."""
    raise LoraNotFoundError(f"no LoRA {name!r}: the stage has no find_lora to look for it")


def attach(
    pipe: Any, tags: Sequence[LoraTag], find_lora: FindLora, *, fuse: bool | None = False
) -> None:
    """Make `tags` the only LoRAs that act on a pipeline; no tags: the model as it was.

    A LoRA named twice has the sum of its weights.

    Args:
        pipe: a pipeline of diffusers.
        tags: names and weights.
        find_lora: from a tag's name to its file.
        fuse: add them into the model's weights; None: where that pays. The weights come back bit
            for bit when the tags change.

    Raises:
        LoraNotFoundError, LoraFileError: by `find_lora`, or where the file does not fit.
        WrongBaseError: for a LoRA of another base model.
    """
    state = _STATES.setdefault(denoiser(pipe), _State())
    weights: dict[str, tuple[float, float]] = {}
    for tag in tags:
        adapter = _loaded(pipe, state, find_lora(tag.name))
        unet, text = weights.get(adapter, (0.0, 0.0))
        weights[adapter] = (unet + tag.unet, text + tag.text_encoder)
    if state.dirty or weights != state.weights:
        state.fused.restore()
        _activate(pipe, weights)
        state.weights, state.dirty = weights, False
    acts = any(unet or text for unet, text in weights.values())
    models = [getattr(pipe, part) for part in _holders(pipe)] if acts else []
    if fuse is None:
        fuse = bool(state.fused) or lora_fusion.pays(models)
    fuse = fuse and lora_fusion.possible(models)
    if not fuse:
        state.fused.restore()
    elif not state.fused:
        state.fused.fuse(models, list(weights))


def _loaded(pipe: Any, state: _State, file: LoraFile) -> str:
    """The adapter of a file, loaded at its first use."""
    if file.path not in state.adapters:
        state.fused.restore()
        file.require_fit(base_family.base_of_pipeline(pipe), "the model")
        state.dirty = True  # diffusers activates what it loads, with weight 1
        state.adapters[file.path] = _load(pipe, file)
    return state.adapters[file.path]


def _load(pipe: Any, file: LoraFile) -> str:
    """Load a file and return its adapter's name: the file's as an identifier, and a number of its
    whole path."""
    from ...checkpoints.lora import weights as lora_weights

    number = zlib.crc32(str(file.path.resolve()).encode())
    adapter = f"{re.sub(r'[^0-9A-Za-z]', '_', file.name)}_{number:x}"
    weights = lora_weights.load(file, pipe)
    try:
        pipe.load_lora_weights(weights, adapter_name=adapter)
    except Exception as error:
        with contextlib.suppress(Exception):  # what was attached before it broke comes off again
            pipe.delete_adapters(adapter)
        what = one_line(error)[:200]
        raise LoraFileError(
            f"LoRA {file.path} does not fit the model: {what}; expected a LoRA of its base"
        ) from error
    _keep_precision(pipe, adapter, weights)
    present = sum(
        adapter in getattr(module, "lora_A", ())
        for _, model in _models(pipe)
        for module in model.modules()
    )
    expected = sum(file.modules.values())
    if not present:
        raise LoraFileError(
            f"LoRA {file.path} does not fit the model, which has none of its modules; expected a "
            "LoRA of the model's base"
        )
    if present < expected:
        logging.getLogger(__name__).warning(
            "LoRA %s: %d of its %d modules are not in the model and do nothing",
            file.name, expected - present, expected,
        )  # fmt: skip
    return adapter


def _keep_precision(pipe: Any, adapter: str, weights: Mapping[str, Any]) -> None:
    """Give an adapter beside layers that are stored in 8 bits its own weights again: peft stores
    them as the layer's, and cannot compute in that."""
    for part, model in _models(pipe):
        for name, module in model.named_modules():
            for half in ("lora_A", "lora_B"):
                if adapter in getattr(module, half, ()):
                    loaded = getattr(module, half)[adapter].weight
                    if loaded.element_size() == 1:
                        value = weights[f"{part}.{name}.{half}.weight"]
                        loaded.data = value.to(loaded.device)


def _models(pipe: Any) -> list[tuple[str, Any]]:
    return [(p, m) for p in PARTS if (m := getattr(pipe, p, None)) is not None]


def _holders(pipe: Any) -> dict[str, set[str]]:
    """The adapters of each model that has any."""
    held = {part: set(getattr(model, "peft_config", None) or {}) for part, model in _models(pipe)}
    return {part: names for part, names in held.items() if names}


def _activate(pipe: Any, weights: dict[str, tuple[float, float]]) -> None:
    from diffusers.utils import set_adapter_layers, set_weights_and_activate_adapters

    for part in _holders(pipe):
        model = getattr(pipe, part)
        set_adapter_layers(model, enabled=bool(weights))
        if weights:
            values = [unet if model is denoiser(pipe) else text for unet, text in weights.values()]
            set_weights_and_activate_adapters(model, list(weights), values)
