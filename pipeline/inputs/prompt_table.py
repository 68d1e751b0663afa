"""CSV and JSONL prompt files: a row a picture, with settings of its own. Knows no models.

Everything that is wrong with a file is said at once, with its line.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .prompt_file import TABLES, PromptFileError, decoded
from .prompt_row import COLUMNS, SAME, WORDS, Cells
from .prompt_rows import OWN, Row


@dataclass(frozen=True)
class Table:
    """The rows of a file, and what is wrong with it: line and sentence."""

    path: str
    rows: tuple[Row, ...]
    problems: tuple[tuple[int, str], ...]

    def refuse(self, more: Sequence[tuple[int, str]] = ()) -> None:
        """Raises PromptFileError with every problem, its own and these, where there are any."""
        problems = sorted({*self.problems, *more})
        said = [f"line {line}: {problem}" for line, problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            said.append(f"and {len(problems) - _SHOWN} more")
        if said:
            raise PromptFileError(f"{self.path}: {'; '.join(said)}")


_SHOWN = 10


def read_table(path: str | Path) -> Table:
    """A CSV or JSONL file, or one of A1111's lines of arguments; blank rows and those that begin
    with # are left out.

    Raises PromptFileError for a file that cannot be read or holds nothing; see `Table.problems`.
    """
    text = decoded(path, "a prompt a row")
    ending = Path(path).suffix.lower()
    parse = _csv if ending in (".csv", ".tsv") else _jsonl if ending in TABLES else _arguments
    rows: list[Row] = []
    problems: list[tuple[int, str]] = []
    for line, values in parse(text):
        if isinstance(values, str):
            problems.append((line, values))
            continue
        cells = Cells(values)
        rows.append(cells.row(line))
        problems += [(line, problem) for problem in cells.problems]
    if not rows and not problems:
        raise PromptFileError(f"{path}: no row in it; expected a prompt a row")
    return Table(str(path), tuple(rows), tuple(problems))


def _csv(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line, cells by column) of each row; a str says what is wrong with it."""
    first = next((s for s in text.splitlines() if s.strip() and not s.lstrip().startswith("#")), "")
    bare = re.sub(r'"[^"]*"', "", first)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(",;\t", key=bare.count), strict=True
    )
    header: list[str] = []
    try:
        line = 1
        for cells in reader:
            begins, line = line, reader.line_num + 1
            cells = [cell.strip() for cell in cells]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if not header:
                header = [_plain(cell) for cell in cells]
                wrong = _header_problem(header)
                if wrong:
                    yield begins, wrong
                    return
                continue
            if any(cells[len(header) :]):
                yield (
                    begins,
                    f"{len(cells)} cells where the header has {len(header)}; put a cell that "
                    'holds the delimiter in "quotes"',
                )
                continue
            named = zip(header, cells, strict=False)
            yield begins, {key: cell for key, cell in named if key and cell}
    except csv.Error as error:
        yield reader.line_num, f"not CSV ({error}); mend the file"


def _header_problem(header: list[str]) -> str:
    if not set(header) & set(COLUMNS):
        return (
            f"expected the names of the columns ({', '.join(WORDS)}, steps, cfg_scale, …), got "
            f"{', '.join(header)[:60]!r}"
        )
    said = [_unknown(key) for key in header if key and key not in COLUMNS]
    return "; ".join(said) or _twice(header)


def _twice(keys: list[str]) -> str:
    meant = [SAME.get(key, key) for key in keys if key]
    double = [
        key for key, name in zip(filter(None, keys), meant, strict=True) if meant.count(name) > 1
    ]
    return f"{' and '.join(double)} say the same: expected one of them" if double else ""


def _unknown(key: str) -> str:
    from ...configs.schema import nearest

    section, dot, _ = key.partition(".")
    if dot and section in ("generate", "rerender", "refiner", "detect", "segment", "run", "mask"):
        return f"{key} is no setting of a row (expected one of {', '.join(OWN)}); use --set {key}=…"
    return (
        f"unknown column {key!r}{nearest(key, list(COLUMNS))} "
        f"(expected one of {', '.join((*WORDS, *reversed(SAME)))}, or rerender.…)"
    )


def _jsonl(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line, values by key) of each object; a str says what is wrong with it."""
    for line, raw in enumerate(text.split("\n"), 1):
        raw = raw.strip()
        if not raw or raw.startswith(("#", "//")):
            continue
        try:
            values = json.loads(raw)
        except ValueError as error:
            yield line, f"not JSON ({' '.join(str(error).split())}); expected one object a line"
            continue
        if not isinstance(values, dict):
            yield line, f'{raw[:40]!r}: expected an object, as in {{"prompt": "a mug"}}'
            continue
        named = {_plain(key): value for key, value in values.items() if value is not None}
        problem = "; ".join(_unknown(key) for key in named if key not in COLUMNS)
        problem = problem or _twice([_plain(key) for key, v in values.items() if v is not None])
        yield line, problem or named


def _arguments(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line, values) of lines as A1111's script "Prompts from file" has them; a line without
    arguments is a prompt."""
    for line, raw in enumerate(text.splitlines(), 1):
        raw = raw.strip()
        if not raw or raw.startswith("#"):
            continue
        if not raw.startswith("--"):
            yield line, {"prompt": raw}
            continue
        try:
            parts = shlex.split(raw)
        except ValueError as error:
            yield line, f'{str(error).lower()}; expected --prompt "a mug" --steps 20'
            continue
        keys, values = parts[::2], parts[1::2]
        if len(keys) != len(values) or not all(key.startswith("--") for key in keys):
            yield line, 'expected pairs, as in --prompt "a mug" --steps 20; quote what has spaces'
            continue
        named = {
            _ARGUMENTS.get(key[2:], _plain(key[2:])): v for key, v in zip(keys, values, strict=True)
        }
        problem = "; ".join(_unknown(key) for key in named if key not in COLUMNS)
        yield line, problem or named


_ARGUMENTS = {"n_iter": "count"}


def _plain(key: str) -> str:
    return re.sub(r"[\s-]+", "_", key.strip().lower())
