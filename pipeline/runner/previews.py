"""Stages that show their pictures while a run goes on; knows no files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .run import Stages

if TYPE_CHECKING:
    from ...stages.shot import Shot
    from ...stages.stage import Modules, Stage

Show = Callable[[str, Sequence["Shot"]], None]
"""Called with a stage's name and its shots, from any thread."""


class PreviewedStage:
    """A stage that shows its shots as they come out of it; they are the same as without."""

    def __init__(self, name: str, stage: Stage, show: Show) -> None:
        self._name, self._stage, self._show = name, stage, show

    @property
    def batch_size(self) -> int:
        return self._stage.batch_size

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self._stage.batch_size = size

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        done = self._stage(shots)
        with contextlib.suppress(Exception):  # a picture is not lost for its preview
            self._show(self._name, done)
        return done

    def modules(self) -> Modules:
        return self._stage.modules()


def previewed(stages: Stages, show: Show) -> Stages:
    """Return the stages, of which those before the re-render show their pictures.

    Photos that are only filtered are finished as fast as they would be shown.
    """
    if stages.generate is None and stages.rerender is None:
        return stages
    masks = "mask" if stages.mask is not None else "segment"
    for name in ("generate", "detect", masks):
        if stage := getattr(stages, name):
            changed: dict[str, Any] = {name: PreviewedStage(name, stage, show)}
            stages = replace(stages, **changed)
    return stages
