"""Checks of files and folders to write, before any work: nothing of the user's is written over."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from .errors import UsageError, VisualsError

Error = Callable[[str], VisualsError]


def check_new_file(path: str | Path, error: Error = UsageError) -> None:
    """Check that a file can be written that is not there yet.

    Args:
        path: the file.
        error: makes the error of one that cannot, of its message.
    """
    _check_name(path, error)
    if os.path.lexists(path):
        raise error(f"{path} is there already: expected a new file; choose another name")
    check_parents(path, error)


def check_new_folder(
    path: str | Path, error: Error = UsageError, *, may_hold: Collection[str] = ()
) -> None:
    """Check that a folder is not there yet or empty, and can be made.

    Args:
        path: the folder.
        error: makes the error of one that is not, of its message.
        may_hold: names of files and folders that it may hold all the same.
    """
    _check_name(path, error)
    if not os.path.lexists(path):
        check_parents(path, error)
        return
    if not os.path.isdir(path):
        raise error(f"{path} is there already: expected a folder, a new or empty one")
    try:
        others = sorted(set(os.listdir(path)) - set(may_hold))
    except OSError as cause:
        raise error(
            f"{path} cannot be read ({cause.strerror}): expected a new or empty folder"
        ) from None
    if others:
        raise error(f"{path} is there already and holds {others[0]!r}: expected a new folder")


def check_parents(path: str | Path, error: Error = UsageError) -> None:
    """Check that what is there of the folders that lead to a file or folder is writable folders."""
    parent = next(p for p in Path(os.path.abspath(path)).parents if os.path.lexists(p))
    if not parent.is_dir():
        raise error(f"{path} cannot be made: {parent} is a file, expected a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise error(f"{path} cannot be made: {parent} is read-only, expected a folder of yours")


def _check_name(path: str | Path, error: Error) -> None:
    if not str(path):
        raise error("'': expected the name of a new file or folder")
