"""Keeps loaded models for a process that runs one job after another, such as the studio's worker.

Off by default: without an active `LoadedModels` every call of a loader loads its model anew.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
# Loaders whose models share weights with those of the loader named first.
_SHARING = {
    "load_text_to_image": ("load_refiner", "load_controlnet_inpaint", "load_changed"),
    "load_changed": ("load_refiner", "load_controlnet_inpaint", "load_text_to_image"),
}

_active: LoadedModels | None = None


class LoadedModels:
    """Cache of the model that each loader loaded last.

    Within `with LoadedModels() as models:` a loader of `checkpoints` that is called again with the
    same arguments, in whichever thread, returns the model of the call before. Other arguments
    first release that model, so that two sets of weights are never held at a time.

    Args:
        on_load: Called with each newly loaded model (a pipeline, or a tuple of model and
            processor), for example to hook its UNet.
    """

    def __init__(self, on_load: Callable[[Any], None] = lambda model: None) -> None:
        self._on_load = on_load
        self._models: dict[str, tuple[Any, Any]] = {}
        self._lock = threading.RLock()  # a loader may call another one

    def __enter__(self) -> LoadedModels:
        global _active
        if _active is not None:
            raise RuntimeError("another LoadedModels is active")
        _active = self
        return self

    def __exit__(self, *_: object) -> None:
        global _active
        _active = None
        self.release()

    def release(self) -> None:
        """Forget all models and return their memory."""
        self._models.clear()
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def get(self, loader: Callable[..., R], args: tuple[Any, ...], options: dict[str, Any]) -> R:
        """Return `loader(*args, **options)`, of the cache where it was the loader's last call."""
        name, arguments = loader.__name__, (args, tuple(sorted(options.items())))
        with self._lock:
            if name in self._models and _equal(self._models[name][0], arguments):
                model: R = self._models[name][1]
                return model
            for stale in (name, *_SHARING.get(name, ())):
                self._models.pop(stale, None)
            model = loader(*args, **options)
            self._on_load(model)
            self._models[name] = (arguments, model)
            return model


def keepable(loader: Callable[P, R]) -> Callable[P, R]:
    """Decorate a loader to consult the active `LoadedModels`."""

    @functools.wraps(loader)
    def load(*args: P.args, **options: P.kwargs) -> R:
        if _active is None:
            return loader(*args, **options)
        return _active.get(loader, args, options)

    return load


@contextlib.contextmanager
def anew() -> Iterator[None]:
    """Within it, loaders load a model of the caller's own: for work that changes it."""
    global _active
    active, _active = _active, None
    try:
        yield
    finally:
        _active = active


def _equal(a: Any, b: Any) -> bool:
    """Compare arguments; a pipeline equals only itself."""
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_equal, a, b))
    return a is b or (not hasattr(a, "components") and bool(a == b))
