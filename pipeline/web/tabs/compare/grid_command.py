"""A grid as the tab Compare asks for it: the command `visuals grid` that draws it.

Knows settings and grids; no models, no pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ....jobs.grid import GridError, GridPlan, ask
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

    def plan(self) -> GridPlan:
        """Which pictures it makes; raises GridError, SettingsError."""
        from .....configs.schema import load_settings

        usual = load_settings(self.presets[0]).generate.prompt if self.presets else ""
        return ask(
            prompts=self.prompts or (usual,),
            classes=self.classes,
            loras=self.loras,
            seeds=self.seeds,
            presets=self.presets,
            checkpoints=self.checkpoints,
            columns=self.columns,
        )


def check(order: GridCommand) -> GridPlan:
    """The plan; raises ValueError, in one line, for what the command would refuse."""
    from .....configs.schema import load_settings
    from ....build.stages import check_words

    if not order.presets:
        raise GridError("no preset: expected one or more; choose mini")
    if not order.seeds:
        raise GridError("no seed: expected numbers, as in 0,1,2,3")
    plan = order.plan()
    for preset in order.presets:
        settings = load_settings(preset, order.changes)
        folders = [*order.lora_dirs, *settings.generate.lora_dirs]
        for model in order.checkpoints or (settings.generate.model,):
            more = {**order.changes, "generate.lora_dirs": folders, "generate.model": model}
            texts = [w.put(t) for w in plan.values["lora"] for t in plan.values["prompt"]]
            check_words(load_settings(preset, more), texts)
    return plan


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
