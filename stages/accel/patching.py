"""Replaces `forward` of library modules, for the time of a block or until removed.

Every patch names the signatures it was written for. A module whose `forward` takes other parameters
keeps the library's own code, and a warning says so once.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Forward = Callable[..., Any]


@dataclass(frozen=True)
class Patch:
    """A replacement of `forward` for modules of a library.

    Args:
        classes: names of the classes whose modules are patched.
        parameters: the parameters of their `forward` that `make` relies on, as in "x, mask".
        make: from a module to its new `forward`.
    """

    classes: tuple[str, ...]
    parameters: str
    make: Callable[[Any], Forward]


def install(model: Any, patches: Sequence[Patch]) -> None:
    """Patch the modules of a model by the name of their class, until `remove`.

    Modules whose `forward` is replaced already, and those with another signature, keep theirs.
    """
    by_class = {name: patch for patch in patches for name in patch.classes}
    for module in _modules(model):
        patch = by_class.get(type(module).__name__)
        if patch and "forward" not in vars(module) and fits(type(module).forward, patch.parameters):
            forward = patch.make(module)
            forward.__dict__["accelerated"] = True
            module.forward = forward


def remove(model: Any) -> None:
    """Give every module that `install` patched its class's own `forward` back."""
    for module in _modules(model):
        if getattr(vars(module).get("forward"), "accelerated", False):
            del module.forward


def _modules(model: Any) -> Sequence[Any]:
    return list(getattr(model, "modules", tuple)())  # a detector of another library may have none


def fits(function: Forward, parameters: str) -> bool:
    """Whether a method of a class, or a bound one, has exactly these parameters beside self. The
    first time that it does not, a warning names it."""
    names = inspect.signature(function).parameters
    found = ", ".join(name for name in names if name != "self")
    if found == parameters:
        return True
    _warn(function.__qualname__, found, parameters)
    return False


@functools.cache
def _warn(name: str, found: str, expected: str) -> None:
    logging.getLogger(__name__).warning(
        "%s takes (%s), expected (%s): left as the library has it, not "
        "accelerated; run.accelerate=false hides this warning",
        name, found, expected,
    )  # fmt: skip


@contextlib.contextmanager
def replaced_forwards(replacements: Sequence[tuple[Any, Forward]]) -> Iterator[None]:
    """Within the block each module calls the function beside it. Afterwards it has what it had
    before, its class's own `forward` or an earlier replacement, such as accelerate's."""
    before = [vars(module).get("forward") for module, _ in replacements]
    for module, forward in replacements:
        module.forward = forward
    try:
        yield
    finally:
        for (module, _), earlier in zip(replacements, before, strict=True):
            if earlier is None:
                vars(module).pop("forward", None)
            else:
                module.forward = earlier
