"""The single pictures of a grid as files, written while the others are still drawn.

`grid.json` holds the headings and each cell's values, `cell-0007.png` a picture, `cells.jsonl` a
line a finished cell. Knows no models and no terminal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...checkpoints.atomic_files import write
from ...configs.errors import writable
from ...configs.text_files import parse_json
from ..images.write import Format
from ..runs import jsonl
from .grid import GridError, GridPlan

NAME = "grid.json"
LINES = "cells.jsonl"


class GridWriter:
    """Writes the cells of one grid into a folder.

    Raises:
        GridError: the folder has a grid, or files of the names of one.
    """

    def __init__(self, folder: Path, plan: GridPlan) -> None:
        if any(
            os.path.lexists(folder / name)
            for name in (NAME, LINES, *map(_cell, range(len(plan.cells))))
        ):
            raise GridError(f"{folder} holds a grid already: expected a new folder; set --cells")
        self.folder = folder
        heads, sides = headings(plan)
        values = [{**cell, "lora": str(cell["lora"])} for cell in plan.cells]
        record = {"columns": heads, "rows": sides, "cells": values}
        with writable(folder):
            write(folder / NAME, json.dumps(record, ensure_ascii=False, indent=1).encode())

    def put(self, number: int, picture: Any, **beside: Any) -> None:
        """Keep a cell: its picture uint8 (H, W, 3), or the text of why there is none. `beside`:
        what stands in its file, as `encode.png` takes it."""
        name = _cell(number)
        line: dict[str, Any] = {"cell": number, "file": name, "error": None}
        with writable(self.folder):
            if isinstance(picture, str):
                line |= {"file": None, "error": picture}
            else:
                write(self.folder / name, Format("png").encode(picture, **beside))
            with (self.folder / LINES).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _cell(number: int) -> str:
    return f"cell-{number:04d}.png"


def headings(plan: GridPlan) -> tuple[list[str], list[str]]:
    """What stands over each column and beside each row; "" where nothing varies."""
    heads = [plan.label({plan.columns: value}) for value in plan.values[plan.columns]]
    return heads, [plan.label(row) for row in plan.rows]


@dataclass(frozen=True)
class Drawn:
    """A grid as far as it is drawn. `cells`: by number, a picture's path or the text of why there
    is none; numbers count row by row."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: Mapping[int, Path | str]

    @property
    def total(self) -> int:
        """How many cells it will have."""
        return len(self.columns) * len(self.rows)


def read(folder: Path) -> Drawn | None:
    """The grid in a folder; None where there is none."""
    try:
        record = parse_json((folder / NAME).read_bytes())
        columns, rows = tuple(map(str, record["columns"])), tuple(map(str, record["rows"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    cells: dict[int, Path | str] = {}
    for line in jsonl.whole_lines(folder / LINES):
        file = line.get("file")
        cells[int(line["cell"])] = folder / Path(file).name if file else str(line.get("error"))
    return Drawn(columns, rows, cells)
