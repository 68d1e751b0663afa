"""A grid of stage 1's pictures: what changes with prompt, LoRA weight, checkpoint, preset, seed.

Knows settings and stages; no terminal. Models are loaded once a preset and checkpoint.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError
from ...stages.prompts.lora_tags import parse, take_out

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot
    from ..runner.run import Stages

AXES = ("preset", "checkpoint", "prompt", "lora", "seed")
"""From what is loaded least often to what changes first; the last that varies makes columns."""
MOST = 400
"""Pictures of one grid; more are a mistake, or a run."""


class GridError(UsageError):
    """A grid that cannot be drawn; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Weights:
    """LoRAs by name with a weight each; weight 0 leaves the LoRA off."""

    of: tuple[tuple[str, float], ...]

    def put(self, prompt: str) -> str:
        """The prompt with these weights: in the LoRA's own tag, or in one at the end.

        >>> Weights((("look", 0.5), ("grain", 0))).put("a mug, <lora:look:1>, <lora:grain>")
        'a mug, <lora:look:0.5>'
        """
        for name, weight in self.of:
            tag = f"<lora:{name}:{weight:g}>" if weight else ""
            own = rf"(?i:<(?:lora|lyco):\s*{re.escape(name)}\s*(:[^>]*)?>)"
            if not tag:
                prompt = take_out(own, prompt)
            elif re.search(own, prompt):
                prompt = re.sub(own, tag.replace("\\", r"\\"), prompt, count=1)
            else:
                prompt = f"{prompt}, {tag}"
        return prompt

    def __str__(self) -> str:
        return ", ".join(f"{name} {weight:g}" for name, weight in self.of) or "no LoRA"


def parse_loras(given: Sequence[str]) -> tuple[Weights, ...]:
    """Every combination of `name:weight,weight` texts.

    >>> [str(w) for w in parse_loras(["look:0,1", "grain:0.5"])]
    ['look 0, grain 0.5', 'look 1, grain 0.5']
    """
    choices = []
    for text in given:
        name, _, rest = text.partition(":")
        try:
            weights = [float(w) for w in rest.split(",")] if rest else [1.0]
        except ValueError:
            raise GridError(
                f"LoRA {text!r}: expected NAME:WEIGHT,WEIGHT, as in look:0,0.5,1"
            ) from None
        if not name.strip():
            raise GridError(f"LoRA {text!r}: expected NAME:WEIGHT,WEIGHT, as in look:0,0.5,1")
        choices.append([(name.strip(), w) for w in weights])
    return tuple(Weights(combination) for combination in itertools.product(*choices))


@dataclass(frozen=True)
class GridPlan:
    """The values of each axis, by AXES' names, and which makes the columns."""

    values: Mapping[str, tuple[Any, ...]]
    columns: str

    def __post_init__(self) -> None:
        number = len(self.cells)
        if number > MOST:
            sizes = ", ".join(f"{len(v)} of {k}" for k, v in self.values.items() if len(v) > 1)
            raise GridError(f"{number} pictures ({sizes}): expected at most {MOST}; take fewer")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The values of the other axes, a row each."""
        others = [name for name in AXES if name != self.columns]
        return [
            dict(zip(others, values, strict=True))
            for values in itertools.product(*(self.values[name] for name in others))
        ]

    @property
    def cells(self) -> list[dict[str, Any]]:
        """A value of every axis for each picture, row by row."""
        return [{**row, self.columns: v} for row in self.rows for v in self.values[self.columns]]

    def label(self, row: Mapping[str, Any]) -> str:
        """What is special about a row: the values of the axes that vary, a line each."""
        shown = {"seed": lambda v: f"seed {v}", "prompt": lambda v: parse(v)[0]}
        return "\n".join(
            shown.get(name, str)(row[name])
            for name in AXES
            if name in row and len(self.values[name]) > 1
        )


def plan(values: Mapping[str, Sequence[Any]], columns: str | None = None) -> GridPlan:
    """Return the plan of a grid; without `columns` the last axis that varies makes them."""
    if columns is not None and columns not in AXES:
        raise GridError(f"columns {columns!r}: expected one of {', '.join(AXES)}")
    varying = [name for name in AXES if len(values[name]) > 1]
    whole = {name: tuple(values[name]) for name in AXES}
    return GridPlan(whole, columns or (varying[-1] if varying else "seed"))


def draw(
    cells: Sequence[Mapping[str, Any]],
    settings_of: Callable[[str, str | None], Settings],
    build: Callable[[Settings], Stages],
    progress: Callable[[str, int, int], None] = lambda stage, done, of: None,
    drawn: Callable[[int, Shot, Settings], None] = lambda number, shot, settings: None,
) -> list[Any]:
    """A picture uint8 (H, W, 3) for each cell, or the text of why there is none.

    `settings_of(preset, checkpoint)`; cells of one pair are drawn together. `drawn` hears of each
    as it is made.
    """
    from ...stages.shot import Prompted, Shot
    from ..prompts import wildcards
    from ..runner.run import run_shots

    out: list[Any] = [None] * len(cells)
    by_model: dict[tuple[str, str | None], list[int]] = {}
    for number, cell in enumerate(cells):
        by_model.setdefault((cell["preset"], cell["checkpoint"]), []).append(number)
    done = 0
    for (preset, checkpoint), numbers in by_model.items():
        settings = settings_of(preset, checkpoint)
        stages = build(settings)
        if not done:
            progress("generate", 0, len(cells))
        shots = []
        for n in numbers:
            cell = cells[n]
            text = cell["lora"].put(cell["prompt"] or settings.generate.prompt)
            source = Prompted(text, settings.generate.negative_prompt, cell["seed"])
            shots.append(Shot(id=f"cell-{n:04d}", source=source, classes=()))
        shots = wildcards.choose_variants(shots, wildcards.load_wildcards(settings))
        made = run_shots(shots, stages, batch_size=settings.run.batch_size)
        for n, shot in zip(numbers, made, strict=True):
            out[n] = picture(shot)
            drawn(n, shot, settings)
            done += 1
            progress("generate", done, len(cells))
        del stages, made
    return out


def picture(shot: Shot) -> Any:
    """What a cell shows: its picture uint8 (H, W, 3), or the text of why there is none."""
    why = shot.failure or shot.reason
    return shot.image if shot.image is not None else (why.message if why else "")
