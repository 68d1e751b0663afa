"""A shot that was made again beside what it was: outcome, pixels, models, libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..images import read as image_reader
from ..runs import run_yaml
from .replay_plan import ReplayPlan, Wanted


@dataclass(frozen=True)
class Compared:
    """A shot then and now. `changed`: share of pixels that differ, 0..1; `largest`: by how much, of
    255; both None where there are not two pictures of a size."""

    id: str
    was: str
    now: str
    changed: float | None
    largest: int | None

    @property
    def equal(self) -> bool:
        """The same outcome, and the same pixels where there are pictures."""
        return self.changed in (0.0, None) and (not self.was or self.was == self.now)

    def __str__(self) -> str:
        if self.was and self.was != self.now:
            return f"was {self.was}, is {self.now}"
        if self.changed is None:
            return f"{self.now}, as then" if self.was else f"{self.now}: no picture to compare"
        if self.changed == 0:
            return "equal"
        return f"differs in {self.changed:.1%} of the pixels, by at most {self.largest} of 255"


def compare(wanted: Wanted, line: Mapping[str, Any], folder: Path) -> Compared:
    """What was made again (`line`, in `folder`) beside what it was."""
    name = line["files"]["result"] or line["files"]["source"]
    changed, largest = None, None
    if name and wanted.picture and wanted.picture.is_file():
        old, new = image_reader.read(wanted.picture), image_reader.read(folder / name)
        one, two = old.rgb, new.rgb
        if old.deep is not None and new.deep is not None:
            one, two = old.deep, new.deep
        if one.shape != two.shape:
            changed, largest = 1.0, 255
        else:
            apart = np.abs(one.astype(np.int32) - two.astype(np.int32))
            changed, largest = float((apart > 0).any(-1).mean()), int(apart.max())
            largest = largest if one.dtype == np.uint8 else -(-largest // 257)
    status = wanted.status if wanted.status else line["status"]
    return Compared(wanted.id, status, line["status"], changed, largest)


def differences(plan: ReplayPlan, checkpoints: Mapping[str, str]) -> list[str]:
    """What is not as it was then: models (`checkpoints`: of now) and libraries."""
    out = [
        f"{name} has other {'entries' if name.startswith('wildcard:') else 'weights'} than then"
        for name, was in plan.checkpoints.items()
        if name in checkpoints and checkpoints[name] != was
    ]
    now = run_yaml.versions()
    out += [
        f"{name} is {now[name]}, was {was}"
        for name, was in plan.versions.items()
        if name in now and now[name] != was
    ]
    return out
