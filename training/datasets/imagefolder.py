"""`metadata.jsonl` of a 🤗 imagefolder: read with its mistakes named, written with the same keys
in every line. Knows no pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...checkpoints import atomic_files

NAME = "metadata.jsonl"
Row = dict[str, Any]


def read(path: Path) -> tuple[list[Row], list[str]]:
    """(rows with a `file_name`, a sentence for each line that is none)."""
    rows: list[Row] = []
    wrong: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return [], [f"{path}: not UTF-8; save it as UTF-8"]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            wrong.append(f"{path}, line {number}: not JSON ({error.msg}); mend the line")
            continue
        if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
            wrong.append(f'{path}, line {number}: expected an object with "file_name"; mend it')
            continue
        rows.append(row)
    return rows, wrong


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """`file_name` first, then every key that some row has; null where a row lacks it."""
    rows = list(rows)
    keys = list(dict.fromkeys(["file_name", *(key for row in rows for key in row)]))
    text = "".join(
        json.dumps({key: row.get(key) for key in keys}, ensure_ascii=False) + "\n" for row in rows
    )
    atomic_files.write(path, text.encode())
