"""What every stage is: shots in, the same shots out, further along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .shot import Shot

Modules = Mapping[str, Sequence[Any]]
"""torch modules, by a name for those that must be on the device at the same time."""


class Stage(Protocol):
    """A step of a run.

    `batch_size`: shots that it works on at a time; it lowers the number where memory is short.
    """

    batch_size: int

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """The shots, in order. Those that are not open pass unchanged."""
        ...

    def modules(self) -> Modules:
        """The models it runs, in groups; offloading moves a group to the device together."""
        ...


@dataclass
class FunctionStage:
    """A stage made of a function, without models.

    >>> FunctionStage(lambda shots: list(shots))([])
    []
    """

    function: Callable[[Sequence[Shot]], list[Shot]]
    batch_size: int = 64

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        return self.function(shots)

    def modules(self) -> Modules:
        return {}


_GROUPS = {
    "text_encoder": "prompt",
    "text_encoder_2": "prompt",
    "image_encoder": "prompt",
    "unet": "denoising",
    "transformer": "denoising",
    "controlnet": "denoising",
}
"""Parts of pipelines that work together; each other part, such as the VAE, works alone."""


def pipeline_modules(pipe: Any) -> Modules:
    """The torch modules of a pipeline, a MultiControlNet's nets one by one."""
    import torch

    groups: dict[str, list[Any]] = {}
    for name, part in pipe.components.items():
        if isinstance(part, torch.nn.Module):
            groups.setdefault(_GROUPS.get(name, name), []).extend(getattr(part, "nets", [part]))
    return groups
