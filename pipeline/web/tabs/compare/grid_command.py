"""A grid as the tab Compare asks for it: the command `visuals grid` that draws it.

Knows settings and grids; no models, no pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from ....jobs.draw_grid import GridRequest, check_grid, plan_grid
from ....jobs.grid import GridError, GridPlan
from ....jobs.grid_files import NAME
from ...queue.commands import Command, as_value

SHEET = "grid.png"


@dataclass(frozen=True)
class GridCommand(Command):
    """A call of `visuals grid`; `out` is the folder of the cells and of the sheet."""

    command: str = "grid"
    prompts: tuple[str, ...] = ()
    presets: tuple[str, ...] = ("mini",)
    checkpoints: tuple[str, ...] = ()
    loras: tuple[str, ...] = ()
    lora_dirs: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    columns: str | None = None
    when_stopped: ClassVar[str] = "stopped; the pictures that are done stay"

    def words(self) -> list[str]:
        words = [self.command]
        for option, values in (
            ("--class", self.classes),
            ("--prompt", self.prompts),
            ("--lora", self.loras),
            ("--lora-dir", self.lora_dirs),
            ("--checkpoint", self.checkpoints),
            ("--preset", self.presets),
        ):
            for value in values:
                words += [option, value]
        words += ["--seeds", ",".join(map(str, self.seeds))]
        words += ["--columns", self.columns] if self.columns else []
        for name, value in self.changes.items():
            words += ["--set", f"{name}={as_value(value)}"]
        if self.out:
            words += ["--cells", self.out, "--out", str(Path(self.out) / SHEET)]
        return words

    def grid(self) -> GridRequest:
        """Return the request that the worker draws."""
        folder = self.out or "."
        return GridRequest(
            prompts=self.prompts,
            classes=self.classes,
            loras=self.loras,
            seeds=self.seeds,
            presets=self.presets,
            checkpoints=self.checkpoints,
            columns=self.columns,
            lora_dirs=self.lora_dirs,
            overrides=self.changes,
            out=str(Path(folder) / SHEET),
            cells=self.out,
        )

    def plan(self) -> GridPlan:
        """Return which pictures it makes; raises GridError, SettingsError."""
        return plan_grid(self.grid())

    def check(self) -> GridPlan:
        return check_grid(self.grid())

    def task(self) -> dict[str, Any]:
        return {"kind": "grid", "request": asdict(self.grid())}


def numbers(text: str) -> tuple[int, ...]:
    """Seeds as they are typed, parted by commas or blanks; `3-6` is a range. Raises GridError.

    >>> numbers("7, 1-3 7")
    (7, 1, 2, 3)
    """
    out: list[int] = []
    for part in text.replace(",", " ").split():
        low, dash, high = part.partition("-")
        if not low.isdigit() or (dash and not high.isdigit()):
            raise GridError(f"seed {part!r}: expected numbers, as in 0,1,2,3 or 0-3")
        first, last = int(low), int(high or low)
        if last >= 2**32 or last - first >= 400:
            raise GridError(f"seed {part!r}: expected 0 to 4294967295, at most 400 of them")
        out += range(first, last + 1)
    return tuple(dict.fromkeys(out))


def lora_lines(text: str) -> tuple[str, ...]:
    """The lines `name:0,0.5,1` that are not empty."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def summary(plan: GridPlan) -> str:
    """How many pictures, and of what.

    >>> from visuals.pipeline.jobs.grid import ask
    >>> summary(ask(prompts=["a mug"], loras=["look:0,1"], seeds=[1, 2]))
    '4 pictures: 2 LoRA weights × 2 seeds'
    """
    names = {"preset": "presets", "checkpoint": "checkpoints", "prompt": "prompts"}
    names |= {"lora": "LoRA weights", "seed": "seeds"}
    parts = [f"{len(v)} {names[k]}" for k, v in plan.values.items() if len(v) > 1]
    count = len(plan.cells)
    said = f"{count} picture{'s' * (count != 1)}"
    return f"{said}: {' × '.join(parts)}" if parts else said


def folders(root: Path) -> Sequence[str]:
    """Names of the grids below `root`, newest first."""
    found = [path.parent for path in root.glob(f"*/{NAME}") if not path.parent.is_symlink()]
    return [p.name for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]
