"""Prompt files: lines of prompts, and tables (CSV, TSV, JSONL, A1111's lines of arguments).

All problems of a table are reported together, each with its line.
"""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...configs.schema import SettingsError, nearest
from ...configs.text_files import parse_json, read_text
from .prompt_rows import GENERATE, SETTINGS, PromptFileError, PromptRow

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
WORDS = ("prompt", "negative_prompt", "class", "edit", "seed", "count", "name", "lora")
ALIASES = {
    "loras": "lora",
    "file_name": "name",
    "filename": "name",
    "n_iter": "count",
    "cfg": "generate.cfg_scale",
    "guidance_scale": "generate.cfg_scale",
    "num_inference_steps": "generate.steps",
    "sampler_name": "generate.sampler",
    "strength": "rerender.strength",
    "denoising_strength": "rerender.strength",
    **{key: f"generate.{key}" for key in reversed(GENERATE)},
}
"""Columns by the names of diffusers and A1111."""
COLUMNS = (*WORDS, *ALIASES, *SETTINGS)
_MAX_PROBLEMS = 10


@dataclass(frozen=True)
class PromptTable:
    """The rows of a file and its problems, each with its line."""

    path: str
    rows: tuple[PromptRow, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()

    def raise_problems(self, more: Sequence[tuple[int, str]] = ()) -> None:
        """Raise PromptFileError with all problems, these included; do nothing without any."""
        problems = sorted({*self.problems, *more})
        messages = [f"line {line}: {problem}" for line, problem in problems[:_MAX_PROBLEMS]]
        if len(problems) > _MAX_PROBLEMS:
            messages.append(f"and {len(problems) - _MAX_PROBLEMS} more")
        if messages:
            raise PromptFileError(f"{self.path}: {'; '.join(messages)}")


def is_table(path: str | Path) -> bool:
    """Return whether the rows of a prompt file hold settings: by its ending, or if a line of a
    text file is A1111's, as in `--prompt "a mug" --steps 20`."""
    if str(path).lower().endswith(TABLES):
        return True
    try:
        return any(line.lstrip().startswith("--") for line in _text(path, "").splitlines())
    except PromptFileError:
        return False


def read_prompts(path: str | Path) -> tuple[str, ...]:
    """Return the lines of a UTF-8 text file, without blank ones and those that start with #.

    Raises PromptFileError for a file that is missing, not text, or without a prompt.
    """
    prompts = [" ".join(line.split()) for line in _text(path, "one prompt a line").splitlines()]
    prompts = [line for line in prompts if line and not line.startswith("#")]
    if not prompts:
        raise PromptFileError(
            f"{path}: no prompt in it; expected one a line (lines that start with # are notes)"
        )
    return tuple(prompts)


def read_table(path: str | Path) -> PromptTable:
    """Read a CSV, TSV or JSONL file, or A1111's lines of arguments; blank rows and rows that begin
    with # are ignored.

    Raises PromptFileError for a file that cannot be read or has no row; see also
    `PromptTable.raise_problems`.
    """
    text = _text(path, "a prompt a row")
    ending = Path(path).suffix.lower()
    parse = _csv if ending in (".csv", ".tsv") else _jsonl if ending in TABLES else _arguments
    rows: list[PromptRow] = []
    problems: list[tuple[int, str]] = []
    for line, cells in parse(text):
        if isinstance(cells, str):
            problems.append((line, cells))
            continue
        try:
            rows.append(_row(line, cells))
        except ValidationError as error:
            problems += [(line, problem) for problem in _problems(error)]
    if not rows and not problems:
        raise PromptFileError(f"{path}: no row in it; expected a prompt a row")
    return PromptTable(str(path), tuple(rows), tuple(problems))


def _row(line: int, cells: Mapping[str, Any]) -> PromptRow:
    values = {ALIASES.get(column, column): value for column, value in cells.items()}
    settings = {name: values.pop(name) for name in SETTINGS if name in values}
    return PromptRow.model_validate({"line": line, **values, "settings": settings})


def _problems(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, SettingsError):
            yield from cause.problems
        elif cause:
            yield str(cause)
        else:
            what = item["msg"].replace("Input should", "should")
            yield f"{item['loc'][0]} {item['input']!r}: {what}"


def _csv(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield line and cells by column of each row, or what is wrong with it."""
    first = next((s for s in text.splitlines() if s.strip() and not s.lstrip().startswith("#")), "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    delimiter = max(",;\t", key=unquoted.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    end = 0
    try:
        for cells in reader:
            line, end = end + 1, reader.line_num
            cells = [cell.strip() for cell in cells]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if not header:
                header = [_column(cell) for cell in cells]
                problem = _column_problem(header)
                if set(header).isdisjoint(COLUMNS):
                    problem = (
                        f"expected the names of the columns ({', '.join(WORDS)}, steps, "
                        f"cfg_scale, …), got {', '.join(header)[:60]!r}"
                    )
                if problem:
                    yield line, problem
                    return
            elif any(cells[len(header) :]):
                yield (
                    line,
                    f"{len(cells)} cells where the header has {len(header)}; put a cell that "
                    'holds the delimiter in "quotes"',
                )
            else:
                named = zip(header, cells, strict=False)
                yield line, {column: cell for column, cell in named if column and cell}
    except csv.Error as error:
        yield reader.line_num, f"not CSV ({error}); fix the file"


def _jsonl(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield line and values by column of each object, or what is wrong with it."""
    for line, row in enumerate(map(str.strip, text.split("\n")), 1):
        if not row or row.startswith(("#", "//")):
            continue
        try:
            values = parse_json(row, ())
        except ValueError as error:
            yield line, f"not JSON ({error}); expected one object a line"
            continue
        if not isinstance(values, dict):
            yield line, f'{row[:40]!r}: expected an object, as in {{"prompt": "a mug"}}'
            continue
        pairs = [(_column(key), value) for key, value in values.items() if value is not None]
        problem = "" if pairs else "nothing in it; expected a prompt or a class"
        yield line, problem or _column_problem([column for column, _ in pairs]) or dict(pairs)


def _arguments(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield line and values of lines as A1111's script "Prompts from file" has them; a line
    without arguments is a prompt."""
    for line, row in enumerate(map(str.strip, text.splitlines()), 1):
        if not row or row.startswith("#"):
            continue
        if not row.startswith("--"):
            yield line, {"prompt": row}
            continue
        try:
            parts = shlex.split(row)
        except ValueError as error:
            yield line, f'{str(error).lower()}; expected --prompt "a mug" --steps 20'
            continue
        if len(parts) % 2 or not all(key.startswith("--") for key in parts[::2]):
            yield line, 'expected pairs, as in --prompt "a mug" --steps 20; quote what has spaces'
            continue
        columns = [_column(key[2:]) for key in parts[::2]]
        yield line, _column_problem(columns) or dict(zip(columns, parts[1::2], strict=True))


def _column_problem(columns: Sequence[str]) -> str:
    """Return which columns are unknown or mean the same, else ""."""
    given = [column for column in columns if column]
    names = [ALIASES.get(column, column) for column in given]
    twice = [column for column, name in zip(given, names, strict=True) if names.count(name) > 1]
    return "; ".join(_unknown(column) for column in given if column not in COLUMNS) or (
        f"{' and '.join(twice)} say the same: expected one of them" if twice else ""
    )


def _unknown(column: str) -> str:
    section, dot, _ = column.partition(".")
    if dot and section in ("generate", "rerender", "refiner", "detect", "segment", "run", "mask"):
        return (
            f"{column} is no setting of a row (expected one of {', '.join(SETTINGS)}); "
            f"use --set {column}=…"
        )
    return (
        f"unknown column {column!r}{nearest(column, list(COLUMNS))} "
        f"(expected one of {', '.join((*WORDS, *reversed(ALIASES)))}, or rerender.…)"
    )


def _column(title: str) -> str:
    return re.sub(r"[\s-]+", "_", title.strip().lower())


def _text(path: str | Path, expected: str) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with its mark; raises PromptFileError."""
    return read_text(path, PromptFileError, f"a text file with {expected}")
