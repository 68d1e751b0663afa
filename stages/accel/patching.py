"""Modules whose `forward` is another one, for a while or for good. Knows nothing of what they
compute."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


@contextlib.contextmanager
def forwards(changed: Sequence[tuple[Any, Callable[..., Any]]]) -> Iterator[None]:
    """While it lasts, each module calls what stands beside it; then its own again, or what was put
    there before, such as by accelerate."""
    before = [vars(module).get("forward") for module, _ in changed]
    for module, forward in changed:
        module.forward = forward
    try:
        yield
    finally:
        for (module, _), own in zip(changed, before, strict=True):
            if own is None:
                vars(module).pop("forward", None)
            else:
                module.forward = own


def for_good(model: Any, makers: Mapping[str, Callable[[Any], Callable[..., Any]]]) -> None:
    """Each module of a model whose class has a maker by its name calls what that makes of it; one
    whose `forward` was replaced already keeps it."""
    modules = getattr(model, "modules", tuple)  # a model of another library may have none
    for module in modules():
        made = makers.get(type(module).__name__)
        if made and "forward" not in vars(module):
            module.forward = made(module)
