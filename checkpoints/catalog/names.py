"""Resolves model names to folders, files and hub repositories.

A reference is a name of the catalogue ("mini/sd"), a user's own name (see `user_names`), a folder
or file, or a hub repository ("owner/name").
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from . import user_names
from .entry import Entry, UnknownCheckpointError, looks_like_repository, shipped_entries

MINI_SWITCH = "VISUALS_MINI"
"""Environment variable for development: a folder to use in place of checkpoints/mini."""
_WEIGHT_SUFFIXES = (".ckpt", ".pth", ".pt", ".safetensors")


def catalogue() -> dict[str, Entry]:
    """Return all entries by name: the user's own, then the shipped ones."""
    return {**user_names.read(), **shipped_entries()}


def find(ref: str | os.PathLike[str]) -> Entry | None:
    """Return the entry of a name; None for a folder, a file or a repository."""
    text = os.fspath(ref)
    return shipped_entries().get(text) or user_names.read().get(text)


def mini_folder() -> Path:
    """Return the folder of the embedded models."""
    given = os.environ.get(MINI_SWITCH)
    return Path(given) if given else Path(__file__).parents[1] / "mini"


def resolve(ref: str | os.PathLike[str]) -> str:
    """Return the folder, file or hub repository that a reference stands for.

    Raises:
        UnknownCheckpointError: It is none of these; the message suggests the nearest name.
    """
    text = os.fspath(ref)
    entry = find(text)
    if entry and entry.repository:
        return entry.repository
    if entry and entry.path:
        if not Path(entry.path).exists():
            raise UnknownCheckpointError(
                f"{text}: {entry.path} no longer exists; name it again: "
                f"visuals checkpoints remove {text}, then add {text} PATH"
            )
        return entry.path
    if entry and entry.folder:
        path = mini_folder() / entry.folder
        if not path.is_dir():
            raise UnknownCheckpointError(
                f"{text}: no folder {entry.folder!r} among the embedded models in "
                f"{mini_folder()}; reinstall the package, or train them: "
                "python -m visuals.checkpoints.recipe"
            )
        return str(path)
    path = Path(text).expanduser()
    if path.is_dir() or path.is_file():
        return str(path)
    if path.exists():
        raise UnknownCheckpointError(
            f"{text}: a pipe or device; expected a folder or a weights file; check the path"
        )
    if text.lower().endswith(_WEIGHT_SUFFIXES):
        raise UnknownCheckpointError(f"no file {text!r}: expected a weights file; check the path")
    if looks_like_repository(text):
        return text
    near = difflib.get_close_matches(text, list(catalogue()), 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UnknownCheckpointError(
        f"unknown model {text!r}{hint} (expected a folder, a hub repository owner/name, or a name "
        "that visuals checkpoints list shows)"
    )
