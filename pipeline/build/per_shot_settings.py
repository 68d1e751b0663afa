"""Dispatches shots with per-shot settings to variants of a stage that share its models."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...configs.schema import apply_overrides

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot
    from ...stages.stage import Modules, Stage

_VARIANTS = 16
"""Variants that are kept for settings that come again; they hold no models of their own."""
AnyStage = TypeVar("AnyStage", bound="Stage")


class PerShotSettings(Generic[AnyStage]):
    """Stage 1 or 3 for shots that may have settings of their own.

    Args:
        default: the stage for shots without.
        settings: those that `default` was made of.
        make: from settings to a stage over the same models.
        reads: beginnings of the dotted names that the stage reads.
    """

    def __init__(
        self,
        default: AnyStage,
        settings: Settings,
        make: Callable[[Settings], AnyStage],
        *reads: str,
    ) -> None:
        self.default, self._settings, self._make, self._reads = default, settings, make, reads
        self._variants: dict[str, AnyStage] = {}

    @property
    def batch_size(self) -> int:
        """One for all variants."""
        return self.default.batch_size

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self.default.batch_size = size

    def modules(self) -> Modules:
        """Those of the default stage, which its variants share."""
        return self.default.modules()

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        out = list(shots)
        groups: dict[str, list[int]] = {}
        for k, shot in enumerate(shots):
            changes = {name: v for name, v in shot.settings.items() if name.startswith(self._reads)}
            groups.setdefault(json.dumps(changes, sort_keys=True), []).append(k)
        for key, indices in groups.items():
            try:
                stage = self._variant(key)
            except Exception as error:
                for k in indices:
                    out[k] = shots[k].fail(error, "settings")
                continue
            done = stage([shots[k] for k in indices])
            self.batch_size = min(self.batch_size, stage.batch_size)
            for k, shot in zip(indices, done, strict=True):
                out[k] = shot
        return out

    def _variant(self, key: str) -> AnyStage:
        changes: dict[str, Any] = json.loads(key)
        if not changes:
            return self.default
        stage = self._variants.pop(key, None) or self._make(
            apply_overrides(self._settings, changes)
        )
        self._variants[key] = stage  # the latest stands last
        if len(self._variants) > _VARIANTS:
            del self._variants[next(iter(self._variants))]
        stage.batch_size = self.batch_size
        return stage
