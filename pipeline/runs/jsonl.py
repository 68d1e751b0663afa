"""JSON Lines files that survive a crash: append whole lines, read by offset."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...configs.errors import RunFolderError
from ...configs.text_files import MAX_BYTES, parse_json


def each(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (offset in bytes, values) of each whole line that is not blank.

    Nothing comes of a file that is not there.

    Raises:
        RunFolderError: the file cannot be read, or a line is not a JSON object or too long.
    """
    if not path.is_file():
        return
    offset = 0
    try:
        with path.open("rb") as file:
            lines = iter(lambda: file.readline(MAX_BYTES + 1), b"")
            for number, line in enumerate(lines, 1):
                if len(line) > MAX_BYTES:
                    raise RunFolderError(
                        f"{path} line {number}: expected at most {MAX_BYTES:,} bytes; remove the "
                        "line"
                    )
                if not line.endswith(b"\n"):
                    return
                if not line.isspace():
                    yield offset, parse(line, f"{path} line {number}")
                offset += len(line)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read ({error.strerror}); mend the file") from None


def parse(line: str | bytes, name: str = "a line") -> dict[str, Any]:
    """Return the values of a line, which errors call `name`; raises RunFolderError."""
    try:
        values = parse_json(line, parse_constant=_no_number)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise RunFolderError(
            f"{name}: not JSON; expected one object a line; remove the line, and its shot is made "
            "again"
        )
    return values


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Return the values of the lines that are whole; others are being written, or were cut off."""
    rows = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        with contextlib.suppress(RunFolderError):
            rows.append(parse(line))
    return rows


def append(path: Path, data: bytes) -> int:
    """Append `data` and sync it; returns its offset. Appends all of it or nothing."""
    with path.open("ab", buffering=0) as file:  # a buffer would be written after the error
        offset = file.seek(0, os.SEEK_END)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            os.truncate(path, offset)
            raise
    return offset


def drop_torn_line(path: Path, begins: bytes) -> None:
    """Remove what a crash left behind the last newline, so that the next line is whole.

    Raises:
        RunFolderError: it does not begin as lines of the file do, with `begins`.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        keep, tail = end, b""
        while keep and b"\n" not in tail:
            step = min(keep, 1 << 16)
            keep -= step
            file.seek(keep)
            tail = file.read(step)
        keep += tail.rfind(b"\n") + 1
        file.seek(keep)
        torn = file.read(len(begins)).rstrip(b"\0 \t\r")  # zeros: of a disk after a crash
    if not begins.startswith(torn):
        raise RunFolderError(
            f"{path} ends in {torn!r}… without a newline: expected a line that begins with "
            f"{begins.decode()}; remove or complete it"
        )
    if keep < end:
        os.truncate(path, keep)


def to_json(value: Any, *, sort_keys: bool = False) -> str:
    """Return one line of JSON that UTF-8 can encode: undecodable file names are escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=sort_keys)
    return text.encode(errors="backslashreplace").decode()
