"""Model offloading: each model waits in main memory until it is called, and then moves to the
device, from which the models of other groups are moved back. By accelerate's hooks.

Models that do not fit together move in parts, each for its own call: by diffusers' group
offloading.
"""

from __future__ import annotations

from typing import Any, Literal

Parts = Literal["block_level", "leaf_level"]
"""Parts that a model may move in: its repeated blocks, or its layers."""


class Offload:
    """A device with room for one group of a run's models at a time.

    diffusers' own model offload is a chain a pipeline; here several pipelines share their models.

    Args:
        device: where the models run.
        room: bytes that the weights of a group may take there; None: any number.
    """

    def __init__(self, device: str, room: int | None = None) -> None:
        self.device, self.room = device, room
        self._all: list[Any] = []
        self._there: list[tuple[str, Any]] = []

    @property
    def there(self) -> list[Any]:
        """The models on the device now."""
        return [model for _, model in self._there]

    def add(self, group: str, *models: Any, parts: Parts | None = None) -> None:
        """Offload the modules of a group. They stay on the device together, each from its first
        call on; where they have no room, in `parts`, if they have such. A module that was added
        before keeps its group."""
        from accelerate.hooks import add_hook_to_module
        from diffusers.hooks import apply_group_offloading

        large = self.room is not None and sum(map(_size, models)) > self.room
        for model in models:
            if _holds(self._all, model):
                continue
            self._all.append(model)
            in_parts = parts is not None and large and not _has_4_bits(model)
            add_hook_to_module(model, _turn(self, group, whole=not in_parts))
            if in_parts:
                apply_group_offloading(
                    model, self.device, offload_type=parts, num_blocks_per_group=1
                )

    def take(self, group: str, model: Any, *, whole: bool = True) -> None:
        """Move a model to the device, and those of other groups back; not `whole`: make room for
        its parts, which move by themselves."""
        import torch
        from accelerate.utils.memory import clear_device_cache

        if _holds(self.there, model):
            return
        with torch.inference_mode():  # what was loaded in it can only be moved in it
            gone = [other for owner, other in self._there if owner != group]
            for other in gone:
                other.to("cpu")
            self._there = [(owner, other) for owner, other in self._there if owner == group]
            if gone:
                clear_device_cache()
            if whole:
                model.to(self.device)
                self._there.append((group, model))


def _holds(models: list[Any], model: Any) -> bool:
    return any(model is other for other in models)


def _size(model: Any) -> int:
    return sum(p.nbytes for p in model.parameters())


def _has_4_bits(model: Any) -> bool:
    """Whether weights are those of bitsandbytes, whose scales group offloading leaves behind."""
    return any(hasattr(p, "quant_state") for p in model.parameters())


def _turn(turns: Offload, group: str, *, whole: bool) -> Any:
    """The hook that accelerate calls before a module's forward, and diffusers before a VAE's encode
    and decode. A pipeline makes its noise on `execution_device`."""
    import torch
    from accelerate.hooks import ModelHook
    from accelerate.utils import send_to_device

    class Turn(ModelHook):  # type: ignore[misc]
        execution_device = turns.device

        def init_hook(self, module: Any) -> Any:
            if torch.device(turns.device).type != "cpu":  # it was laid out for a CPU's convolutions
                module.to(memory_format=torch.contiguous_format)
            return module.to("cpu")

        def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            turns.take(group, module, whole=whole)
            return send_to_device(args, turns.device), send_to_device(kwargs, turns.device)

    return Turn()


def wake(*things: Any) -> None:
    """Move offloaded models to the device before code reads `model.device`. Accepts modules, or
    objects that hold modules as attributes."""
    import torch

    for thing in things:
        whole = isinstance(thing, torch.nn.Module)
        for model in [thing] if whole else list(getattr(thing, "__dict__", {}).values()):
            hook = getattr(model, "_hf_hook", None)
            if hook is not None:
                hook.pre_forward(model)
