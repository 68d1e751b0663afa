"""`metadata.jsonl` of a 🤗 imagefolder: read with a message for each bad line, written with the
same keys in every line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...configs.errors import UsageError
from ...configs.text_files import parse_json, read_text
from . import images as dataset_images

NAME = "metadata.jsonl"
REPORT = "import.json"
"""What `visuals dataset import` writes beside it."""
Row = dict[str, Any]


def folders_above(path: Path, root: Path) -> Iterator[Path]:
    """Yield the folder of a picture and those above it up to `root`, whose metadata may name it."""
    for folder in path.parents:
        yield folder
        if folder == root:
            return


def read(path: Path) -> tuple[list[Row], list[str]]:
    """Return (rows with a `file_name`, a message for each other line)."""
    rows: list[Row] = []
    problems: list[str] = []
    try:
        lines = read_text(path, UsageError, "a JSON object a line").split("\n")
    except UsageError as error:
        return [], [str(error)]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line, ("file_name", "mask_file_name"))
        except ValueError as error:
            problems.append(f"{path}, line {number}: not JSON ({error}); fix the line")
            continue
        if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
            problems.append(f'{path}, line {number}: expected an object with "file_name"; fix it')
            continue
        rows.append(row)
    return rows, problems


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write `file_name` first, then every key of any row; null where a row lacks it."""
    rows = list(rows)
    keys = list(dict.fromkeys(["file_name", *(key for row in rows for key in row)]))
    text = "".join(
        json.dumps({key: row.get(key) for key in keys}, ensure_ascii=False) + "\n" for row in rows
    )
    dataset_images.write(path, text.encode(errors="backslashreplace"))
