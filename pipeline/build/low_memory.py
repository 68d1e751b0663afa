"""Stages for little memory: on a GPU models come by turns, on a CPU a stage's are loaded late.

Knows which models belong together; no settings, no files.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..runner.run import Stages

if TYPE_CHECKING:
    from ...stages.accel.offload import Offload
    from ...stages.shot import Shot

Tell = Callable[[str], None]
Load = Callable[[Collection[str], Tell], Stages]
"""The stages of these needs, with models in them."""

TOGETHER = (("generate",), ("detect", "verify", "segment"), ("rerender",))
"""Stages whose models a CPU's memory holds at a time."""
_GROUPS = {
    "text_encoder": "words",
    "text_encoder_2": "words",
    "image_encoder": "words",
    "unet": "drawing",
    "controlnet": "drawing",
}
"""Parts of pipelines that a GPU's memory holds at a time; each other one is there alone."""


def by_turns(stages: Stages, turns: Offload) -> Stages:
    """The stages, their models in main memory, from where each comes to the device of `turns` when
    it is called."""
    import torch

    held: Any = (stages.generate, stages.rerender)
    for pipe in (stage.pipe for stage in held if getattr(stage, "pipe", None)):
        for name, part in pipe.components.items():
            models = getattr(part, "nets", [part]) if isinstance(part, torch.nn.Module) else []
            turns.add(_GROUPS.get(name, name), *models)
    refiner = getattr(getattr(stages.generate, "passes", None), "refiner", None)
    if refiner:
        turns.add("refiner", refiner.pipe.unet)
    for name in ("detect", "verify", "segment"):
        model = getattr(getattr(stages, name), "model", None)
        turns.add(name, *([] if model is None else [model]))
    for number, control in enumerate(getattr(stages.rerender, "controls", ())):
        turns.add(f"map {number}", *_models(control.control))
    return stages


def _models(control: Any) -> list[Any]:
    """The modules that a control map is made by, its own or those of its annotator."""
    import torch

    found = []
    for value in vars(control).values():
        module = isinstance(value, torch.nn.Module)
        inner = [value] if module else getattr(value, "__dict__", {}).values()
        found += [model for model in inner if isinstance(model, torch.nn.Module)]
    return found


class LateStage:
    """A stage whose models are there while it, or one of the same memory, is at work."""

    def __init__(self, shelf: _Shelf, name: str, batch_size: int) -> None:
        self._shelf, self._name, self.batch_size = shelf, name, batch_size

    def __getattr__(self, name: str) -> Any:
        """What the stage has, loaded for it."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._shelf.stage(self._name), name)

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """What the stage makes of the shots."""
        if not any(shot.open for shot in shots):
            return list(shots)
        stage = self._shelf.stage(self._name)
        stage.batch_size = self.batch_size
        done: list[Shot] = stage(shots)
        self.batch_size = stage.batch_size
        return done


class _Shelf:
    """The stages that are loaded: those of one memory."""

    def __init__(self, load: Load, needs: Collection[str]) -> None:
        self._load, self._needs = load, needs
        self._names: tuple[str, ...] = ()
        self._stages = Stages()

    def stage(self, name: str, tell: Tell = lambda text: None) -> Any:
        """A stage with its models, once those of other memories are let go; None where its
        settings ask for none."""
        if name not in self._names:
            self._names, self._stages = (), Stages()
            give_back()
            names = next(names for names in TOGETHER if name in names)
            self._stages = self._load(set(names) & set(self._needs), tell)
            self._names = names
        return getattr(self._stages, name)

    @property
    def mask(self) -> Any:
        """The choice of masks that came with the stages; it holds no model."""
        return self._stages.mask


def late(load: Load, needs: Collection[str], tell: Tell) -> Stages:
    """The stages of `needs`, each loaded when it is called. Each is loaded once now, the first one
    last, so that what is wrong with any is known before the run."""
    shelf, out = _Shelf(load, needs), Stages()
    for names in reversed(TOGETHER):
        for name in names if set(names) & set(needs) else ():
            stage = shelf.stage(name, tell)
            if stage is not None:
                parts: dict[str, Any] = {name: LateStage(shelf, name, stage.batch_size)}
                out = replace(out, **parts, mask=out.mask or shelf.mask)
    return out


def give_back() -> None:
    """Let the system have what the models that went took."""
    from ...stages.accel import memory

    memory.give_back()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # glibc keeps it otherwise
            ctypes.CDLL(None).malloc_trim(0)
