"""A stage for shots that have settings of their own: each set of them has a stage over the same
models. Knows no files, no terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..inputs.prompt_rows import changed

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot

_KEPT = 16
"""Stages kept for sets of settings that come again; they hold no models of their own."""


class PerShotSettings:
    """Stage 1 or 3 by `usual`, which was made of `settings`; shots whose own settings it reads go
    to one that `make` gives for settings. They share `batch_size`."""

    def __init__(
        self, usual: Any, settings: Settings, make: Callable[[Settings], Any], *reads: str
    ) -> None:
        self.usual, self._settings, self._make, self._reads = usual, settings, make, reads
        self._others: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """What the usual stage has: its pipeline, its passes, its controls."""
        if name == "usual":  # asked of a copy before it is filled
            raise AttributeError(name)
        return getattr(self.usual, name)

    @property
    def batch_size(self) -> int:
        return int(self.usual.batch_size)

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self.usual.batch_size = size

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """What the stages make of the shots, in their order."""
        out = list(shots)
        groups: dict[str, list[int]] = {}
        for place, shot in enumerate(shots):
            own = {k: v for k, v in shot.settings.items() if k.startswith(self._reads)}
            groups.setdefault(json.dumps(own, sort_keys=True), []).append(place)
        for own_json, places in groups.items():
            try:
                stage = self._stage(own_json)
            except Exception as error:
                for place in places:
                    out[place] = shots[place].fail(error, "settings")
                continue
            done = stage([shots[place] for place in places])
            self.batch_size = min(self.batch_size, stage.batch_size)
            for place, shot in zip(places, done, strict=True):
                out[place] = shot
        return out

    def _stage(self, own_json: str) -> Any:
        own = json.loads(own_json)
        if not own:
            return self.usual
        stage = self._others.pop(own_json, None) or self._make(changed(self._settings, own))
        self._others[own_json] = stage  # the latest stands last
        if len(self._others) > _KEPT:
            del self._others[next(iter(self._others))]
        stage.batch_size = self.batch_size
        return stage
