"""Stages for little memory: offload to main memory between uses on a GPU, load late on a CPU."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...configs.errors import ModelsTooLargeError, VisualsError, is_out_of_memory, one_line
from ..runner.run import BEFORE, Stages
from .devices import device_and_dtype

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.accel.offload import Offload, Parts
    from ...stages.shot import Shot
    from ...stages.stage import Modules

Report = Callable[[str], None]
Load = Callable[[Collection[str], Report], Stages]
"""Loads the stages of these needs."""

TOGETHER = (("generate",), ("detect", "verify", "segment"), ("rerender",))
"""Stages whose models a CPU's memory holds at a time."""

_PARTS: dict[str, Parts] = {
    "denoising": "block_level",
    "prompt": "leaf_level",
    "text_encoder_3": "leaf_level",
}
"""What the large groups of a pipeline move in where they do not fit a card."""
ACTIVATIONS = 3 * 2**30
"""Bytes of a card that are left for activations, CUDA and the allocator's fragments."""


def offload(device: str) -> Offload:
    """A device whose weights take all its memory but what is left for activations."""
    import torch

    from ...stages.accel.offload import Offload

    cuda = torch.device(device).type == "cuda"
    free = torch.cuda.mem_get_info(device)[0] if cuda else None
    return Offload(device, None if free is None else free - ACTIVATIONS)


def offloaded(stages: Stages, offload: Offload) -> Stages:
    """The stages, their models in main memory, from where each moves to the device of `offload`
    when it is called."""
    # Both pipelines come first: a part that they share keeps its first group.
    known: set[int] = set()
    all_groups: dict[tuple[str, str], list[Any]] = {}
    for name in ("generate", "rerender", *BEFORE[2:]):
        stage = getattr(stages, name)
        groups = stage.modules() if stage else {}
        here = {id(model) for models in groups.values() for model in models}
        own = f"{name} " if known and not here & known else ""  # two do not denoise together
        for group, models in groups.items():
            new = [model for model in models if id(model) not in known]
            all_groups.setdefault((own, group), []).extend(new)
        known |= here
    for (own, group), models in all_groups.items():
        offload.add(f"{own}{group}", *models, parts=_PARTS.get(group))
    return stages


class LateStage:
    """A stage whose models are in memory while it, or one loaded with it, is at work."""

    def __init__(self, loader: _Loader, name: str, batch_size: int) -> None:
        self._loader, self._name, self.batch_size = loader, name, batch_size

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        if not any(shot.open for shot in shots):
            return list(shots)
        stage = self.loaded()
        stage.batch_size = self.batch_size
        done: list[Shot] = stage(shots)
        self.batch_size = stage.batch_size
        return done

    def modules(self) -> Modules:
        modules: Modules = self.loaded().modules()
        return modules

    def loaded(self) -> Any:
        """The stage with its models; those of other stages are released."""
        return self._loader.stage(self._name)


class _Loader:
    """Loads stages and holds those of one entry of TOGETHER."""

    def __init__(self, load: Load, needs: Collection[str]) -> None:
        self._load, self._needs = load, needs
        self._names: tuple[str, ...] = ()
        self._stages = Stages()

    def stage(self, name: str, report: Report = lambda text: None) -> Any:
        """A stage with its models, after others are released; None where its settings ask for
        none."""
        if name not in self._names:
            self._names, self._stages = (), Stages()
            give_back()
            names = next(names for names in TOGETHER if name in names)
            self._stages = self._load(set(names) & set(self._needs), report)
            self._names = names
        return getattr(self._stages, name)

    @property
    def mask(self) -> Any:
        """The mask filter that came with the stages; it holds no model."""
        return self._stages.mask


def late(load: Load, needs: Collection[str], report: Report) -> Stages:
    """The stages of `needs`, each loaded when it is called. Each is loaded once now, the first one
    last, so that errors in any come before the run."""
    loader, out = _Loader(load, needs), Stages()
    for names in reversed(TOGETHER):
        for name in names if set(names) & set(needs) else ():
            stage = loader.stage(name, report)
            if stage is not None:
                parts: dict[str, Any] = {name: LateStage(loader, name, stage.batch_size)}
                out = replace(out, **parts, mask=out.mask or loader.mask)
    return out


@contextlib.contextmanager
def explained(settings: Settings, remedy: str = "") -> Iterator[None]:
    """Turn lack of memory within the block into a ModelsTooLargeError that says what to do: by
    default, to add --low-memory."""
    try:
        yield
    except Exception as error:
        if isinstance(error, VisualsError) or not is_out_of_memory(error):
            raise
        device, _ = device_and_dtype(settings)
        smaller = "a smaller preset, or close other programs that use it"
        low = (
            f"take {smaller}" if settings.run.low_memory else f"add --low-memory, or take {smaller}"
        )
        raise ModelsTooLargeError(
            f"the models do not fit into the memory of {device} ({one_line(error)[:160]}); "
            f"{remedy or low}"
        ) from None


def give_back() -> None:
    """Return the memory of released models to the system."""
    from ...stages.accel import memory

    memory.give_back()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # glibc keeps it otherwise
            ctypes.CDLL(None).malloc_trim(0)
