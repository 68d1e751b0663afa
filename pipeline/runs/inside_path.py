"""Paths and names of files inside a run folder, whose records and links may come from anyone."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from ...configs.errors import RunFolderError
from ..images.read import PictureError

LONGEST = 200
"""Longest name of an id in bytes, so that name and ending fit into the usual limit of 255."""

_LONGEST_ID = 1000
"""Longest id in characters, below the usual limit of 4,096 bytes a path."""


class OutsideError(PictureError, RunFolderError):
    """A name leads out of its run folder, or to a pipe or device."""


def _relative(name: str) -> str:
    parts = name.split("/")
    if "\0" in name or not all(parts) or not {".", ".."}.isdisjoint(parts):
        raise ValueError(f"{name!r}: expected a path inside the run folder")
    return name


def _single(name: str) -> str:
    if "/" in name:
        raise ValueError(f"{name!r}: expected a name without a folder")
    return _relative(name)


InsidePath = Annotated[str, AfterValidator(_relative)]
"""A path relative to a run folder, with / between its parts, none of which is . or .. or empty."""
InsideName = Annotated[str, AfterValidator(_single)]
"""An `InsidePath` of one part."""


def check_name(name: str) -> str:
    """Return the name of a file of a run; raises OutsideError where it leads out of its folder."""
    try:
        return _relative(name)
    except ValueError as error:
        raise OutsideError(f"{error}; it is not used") from None


def inside(folder: Path, name: str) -> Path:
    """Return the path of `name` below `folder`, no part of which is a link, pipe or device.

    Raises:
        OutsideError: the name leads out of the folder, by itself or by one of these.
    """
    path = folder
    for part in check_name(name).split("/"):
        path /= part
        if not _is_plain(path):
            raise OutsideError(
                f"{path} is a link, pipe or device: expected a file or folder of the run; put the "
                "file itself there"
            )
    return path


def _is_plain(path: Path) -> bool:
    """Whether a path is a file, a folder, or nothing that can be looked at."""
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def is_file_name(id_: str) -> bool:
    """Return whether every disk takes an id as the name of a file, with folders before it."""
    return len(id_) <= _LONGEST_ID and all(file_name(part) == part for part in id_.split("/"))


def file_name(text: str) -> str:
    """Return a text as a name of at most 200 bytes; a longer one is cut and ends in a hash."""
    data = clean(text).encode()
    if len(data) <= LONGEST:
        return clean(text)
    mark = hashlib.sha256(data).hexdigest()[:8]
    return f"{data[: LONGEST - 9].decode(errors='ignore')}~{mark}"


def clean(name: str) -> str:
    """Replace control characters and surrogates, which some disks and all JSON readers reject."""
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", "_", name)
