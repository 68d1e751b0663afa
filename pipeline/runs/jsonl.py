"""A file of JSON Lines that a crash leaves readable: appended whole, synced, read by place.

Knows no runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .run_yaml import RunFolderError


def each(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(offset in bytes, line) of each whole line; none where there is no file.

    Raises RunFolderError for a line that is no JSON.
    """
    if not path.is_file():
        return
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.endswith(b"\n"):
                return
            try:
                yield offset, json.loads(raw)
            except ValueError:
                raise RunFolderError(
                    f"{path} line {number}: not JSON; expected one object a line; "
                    "take the line out and its shot is made again"
                ) from None
            offset += len(raw)


class ManifestIndex(Mapping[str, "dict[str, Any]"]):
    """Lines by their `id`. In memory are their places only: a line is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, int] = {line["id"]: at for at, line in each(path)}

    def __getitem__(self, id_: str) -> dict[str, Any]:
        with self._path.open("rb") as file:
            file.seek(self._places[id_])
            line: dict[str, Any] = json.loads(file.readline())
        return line

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._places

    def add(self, id_: str, offset: int) -> None:
        self._places[id_] = offset


def append(path: Path, data: bytes) -> int:
    """Write `data` at the end, synced; returns where it begins. Where the disk takes only a part,
    none of it stays."""
    with path.open("ab", buffering=0) as file:  # what is not written must not linger
        offset = file.seek(0, os.SEEK_END)
        try:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            os.truncate(path, offset)
            raise
    return offset


def cut_torn(path: Path) -> None:
    """Drop what a crash left behind the last newline, so that the next line is whole."""
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
    if keep < end:
        os.truncate(path, keep)


def to_json(value: Any) -> str:
    """One line of JSON that UTF-8 can write: a file name of other bytes is escaped."""
    said = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        said.encode()
    except UnicodeEncodeError:
        said = json.dumps(value, allow_nan=False)
    return said
