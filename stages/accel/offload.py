"""Model offloading: each model waits in main memory until it is called, and then moves to the
device, from which the models of other groups are moved back. By accelerate's hooks.
"""

from __future__ import annotations

from typing import Any


class Offload:
    """A device with room for one group of a run's models at a time.

    diffusers' own model offload is a chain a pipeline; here several pipelines share their models.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._all: list[Any] = []
        self._there: list[tuple[str, Any]] = []

    @property
    def there(self) -> list[Any]:
        """The models on the device now."""
        return [model for _, model in self._there]

    def add(self, group: str, *models: Any) -> None:
        """Offload modules. Those of one group stay on the device together, each from its first call
        on. A module that was added before keeps its group."""
        from accelerate.hooks import add_hook_to_module

        for model in models:
            if not _holds(self._all, model):
                self._all.append(model)
                add_hook_to_module(model, _turn(self, group))

    def take(self, group: str, model: Any) -> None:
        """Move a model to the device, and those of other groups back."""
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
            model.to(self.device)
        self._there.append((group, model))


def _holds(models: list[Any], model: Any) -> bool:
    return any(model is other for other in models)


def _turn(turns: Offload, group: str) -> Any:
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
            turns.take(group, module)
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
