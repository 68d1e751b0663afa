"""Modules whose `forward` is another one for a while. Knows nothing of what they compute."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
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
