"""Reports the sampler's steps within a call of a pipeline to listeners.

`reported_to` acts on the whole process: it is for programs, not for library calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scheduled_embeddings import Callback

Listener = Callable[[str, int, int, int], None]
"""Called with a stage's name, the steps done, all steps of the call, and its pictures."""
_listeners: list[Listener] = []


@contextlib.contextmanager
def reported_to(listener: Listener) -> Iterator[None]:
    """Return a context in which `listener` is called after each step, by any thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def callback(stage: str, pictures: int) -> Callback:
    """Return what diffusers calls after each step of a call that draws so many pictures."""

    def report(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        for listener in _listeners:
            listener(stage, step + 1, pipe.num_timesteps, pictures)
        return tensors

    return report
