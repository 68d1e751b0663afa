"""Prompt files: plain lines of prompts, and tables (CSV, TSV, JSONL, A1111's lines of arguments).

All problems of a table are reported together, each with its line. Knows no models.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ...configs.errors import UsageError, one_line
from ...configs.overrides import nest
from ...configs.schema import SettingsError, check, merge, nearest, raw

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
GENERATE = (
    "steps", "cfg_scale", "sampler", "width", "height", "clip_skip", "prompt_strength", "hires",
)  # fmt: skip
RERENDER = (
    "strength", "steps", "cfg_scale", "sampler", "negative_prompt", "width", "height",
    "padding", "mask_blur", "dilate", "aspect_buckets", "color_correction", "min_structure",
)  # fmt: skip
SETTINGS = (*(f"generate.{key}" for key in GENERATE), *(f"rerender.{key}" for key in RERENDER))
"""The settings that a row may have for itself: those that need no other model."""
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
_FORBIDDEN_IN_NAME = re.compile(r'[\\/<>:"|?*\x00-\x1f]|^\.|[. ]$')
_MAX_NAME_BYTES = 120
_LORA = re.compile(r"\s*([^:<>]+?)\s*((?::\s*-?\d+(\.\d+)?\s*){0,2})")


class PromptFileError(UsageError):
    """A prompt file that cannot be used; the message says got, expected, remedy."""


def _file_name(value: Any) -> str:
    name = re.sub(r"\.(png|jpe?g|webp)$", "", str(value).strip())
    if _FORBIDDEN_IN_NAME.search(name) or len(name.encode("utf-8", "replace")) > _MAX_NAME_BYTES:
        raise ValueError(
            f"name {name[:60]!r}: expected a file's name without a folder, of at most "
            f'{_MAX_NAME_BYTES} bytes, without \\ / < > : " | ? *'
        )
    return name


def _lora_tags(value: Any) -> str:
    """Return LoRAs, as in `film:0.8; other`, a list or an object, as tags of the prompt."""
    if isinstance(value, str) and "<" in value:
        return value
    if isinstance(value, str):
        value = re.split(r"\s*[;,]\s*", value) if value else []
    if isinstance(value, Mapping):
        value = [f"{name}:{weight}" for name, weight in value.items()]
    tags, problems = [], []
    for part in value if isinstance(value, list) else [value]:
        match = _LORA.fullmatch(str(part))
        if match:
            weights = re.sub(r"\s", "", match[2]) or ":1"
            tags.append(f"<lora:{match[1]}{weights}>")
        else:
            problems.append(f"lora {str(part)!r}: expected NAME:WEIGHT, as in film:0.8")
    if problems:
        raise ValueError("; ".join(problems))
    return " ".join(tags)


@functools.lru_cache(maxsize=1)
def _base_settings() -> dict[str, Any]:
    return raw("mini")


def _checked_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of dotted names, checked as those of --set; raises SettingsError."""
    from ...stages.diffusion import samplers

    values = {name: value for name, value in given.items() if value is not None and value != ""}
    for name, value in values.items():
        if isinstance(value, str) and not name.endswith("prompt"):
            try:
                values[name] = yaml.safe_load(value)
            except yaml.YAMLError:
                pass  # the check below says what was expected
    if not values:
        return {}
    problems = []
    try:
        sections = check(merge(_base_settings(), nest(values))).model_dump(mode="json")
    except SettingsError as error:
        problems += error.problems
    for name in ("generate.sampler", "rerender.sampler"):
        if values.get(name) not in (None, *samplers.NAMES):
            try:
                samplers.scheduler(values[name], {})
            except samplers.UnknownSamplerError as error:
                problems.append(str(error))
    if problems:
        raise SettingsError(problems)
    keys = {name: name.split(".") for name in values}
    return {name: sections[section][key] for name, (section, key) in keys.items()}


_Text = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
_Blank = BeforeValidator(lambda value: None if value == "" else value)
_AnySeed = BeforeValidator(lambda value: None if value in ("", -1, "-1") else value)
"""A1111's seed -1, and an empty one, stand for the seed that the run would give."""


class PromptRow(BaseModel):
    """A row of a prompt table; what is None or empty is inherited from the run.

    Args:
        line: line of the file where the row begins, from 1.
        class_: product class, in lower case; column `class`.
        seed: seed of its first picture, 0 to 2³² - 1; the next ones count up.
        count: pictures of it.
        name: file name of its pictures, without ending.
        loras: tags of LoRAs, as in `<lora:film:0.8>`; column `lora`.
        settings: values by dotted name, of those in SETTINGS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    line: int
    prompt: _Text = ""
    negative_prompt: _Text | None = None
    class_: Annotated[_Text, AfterValidator(str.lower)] = Field("", alias="class")
    edit: _Text | None = None
    seed: Annotated[int | None, Field(ge=0, le=2**32 - 1), _AnySeed] = None
    count: Annotated[int | None, Field(ge=1, le=100_000), _Blank] = None
    name: Annotated[str, BeforeValidator(_file_name)] = ""
    loras: Annotated[str, BeforeValidator(_lora_tags)] = Field("", alias="lora")
    settings: Annotated[Mapping[str, Any], AfterValidator(_checked_settings)] = Field(
        default_factory=dict
    )

    def to_json(self) -> dict[str, Any]:
        """Return the values given, as run.yaml records them."""
        return {k: v for k, v in self.model_dump().items() if v not in (None, "", {})}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PromptRow:
        """Return the row that `to_json` recorded, which was checked when it was read."""
        return cls.model_construct(**values)

    def text(self, default: str) -> str:
        """Return its prompt, else the run's, with the tags of its LoRAs."""
        return " ".join(filter(None, (self.prompt or default, self.loras)))


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
    """Return whether a prompt file has settings in its rows: by its ending, or where lines of a
    text file are A1111's, as in `--prompt "a mug" --steps 20`."""
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
    """Read a CSV, TSV or JSONL file, or one of A1111's lines of arguments; blank rows and those
    that begin with # are left out.

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
                if not set(header) & set(COLUMNS):
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
        yield reader.line_num, f"not CSV ({error}); mend the file"


def _jsonl(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield line and values by column of each object, or what is wrong with it."""
    for line, row in enumerate(map(str.strip, text.split("\n")), 1):
        if not row or row.startswith(("#", "//")):
            continue
        try:
            values = json.loads(row)
        except ValueError as error:
            yield line, f"not JSON ({one_line(error)}); expected one object a line"
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
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise PromptFileError(
            f"{path}: {reason}; expected a text file with {expected}; set --prompt-file"
        ) from None
    try:
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise PromptFileError(f"{path}: not UTF-8 text; expected {expected}") from None
