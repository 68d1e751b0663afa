"""The user's own model names, kept in checkpoints.yaml of the user's configuration folder.

The file has the fields of catalog.yaml and can be edited by hand.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...configs.errors import UsageError, one_line
from ...configs.text_files import parse_yaml
from .. import atomic_files
from ..formats.pickles import UNSAFE_SUFFIXES
from ..user_dirs import config_folder
from .entry import (
    Entry,
    UnknownCheckpointError,
    looks_like_repository,
    parse_entries,
    shipped_entries,
)

FILE = "checkpoints.yaml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class UserCatalogError(UsageError):
    """A name that cannot be added, or a names file that cannot be read."""


def read() -> dict[str, Entry]:
    """Return the user's entries by name; empty where there is no file."""
    return parse_entries(_read_values())


def add(
    name: str, ref: str, *, kind: str, files: tuple[str, ...] = (), licence: str | None = None
) -> Entry:
    """Name a folder, a .safetensors file or a hub repository, and write the name to the file.

    `kind`, `files` and `licence` are those of `Entry`.

    Raises:
        UserCatalogError: The name is taken or malformed, or `ref` is a pickle.
        UnknownCheckpointError: `ref` is no folder, file or repository.
    """
    values = _read_values()
    if not _NAME.fullmatch(name):
        raise UserCatalogError(
            f"name {name!r}: expected letters, digits, '.', '_' and '-', as in my-sneakers"
        )
    if name in shipped_entries():
        raise UserCatalogError(f"{name!r} is a name of the catalogue; choose another")
    if name in values:
        raise UserCatalogError(
            f"{name!r} is taken; choose another, or first: visuals checkpoints remove {name}"
        )
    path = Path(ref).expanduser()
    fields: dict[str, Any] = {"kind": kind}
    if path.exists():
        fields["path"] = str(_require_safetensors(path))
    elif ref in shipped_entries() or ref in values:
        raise UserCatalogError(f"{ref!r} is a name already: use it in place of {name!r}")
    elif looks_like_repository(ref) and path.suffix.lower() not in (
        *UNSAFE_SUFFIXES,
        ".safetensors",
    ):
        fields["repository"] = ref
    else:
        raise UnknownCheckpointError(
            f"{ref!r}: no such folder or file (expected a folder, a .safetensors file or a hub "
            "repository owner/name)"
        )
    if files:
        fields["files"] = list(files)
    if licence:
        fields["licence"] = licence
    _write({**values, name: fields})
    return parse_entries({name: fields})[name]


def remove(name: str) -> bool:
    """Remove a name and return whether it existed. Its files stay."""
    values = _read_values()
    if name not in values:
        return False
    _write({key: value for key, value in values.items() if key != name})
    return True


def _require_safetensors(path: Path) -> Path:
    path = path.resolve()
    if path.is_file() and path.suffix.lower() in UNSAFE_SUFFIXES:
        raise UserCatalogError(
            f"{path.name} is a pickle, which could run code: expected .safetensors; to use one "
            "that you trust, give its path where a model is named, with --allow-pickle"
        )
    if path.is_file() and path.suffix.lower() != ".safetensors":
        raise UserCatalogError(f"{path.name}: expected a folder or a .safetensors file")
    if path.is_dir() and not any(path.rglob("*.safetensors")):
        raise UserCatalogError(f"{path}: no .safetensors file in this folder; check the path")
    return path


def _read_values() -> dict[str, Mapping[str, Any]]:
    import yaml

    file = config_folder() / FILE
    if not file.is_file():
        return {}
    known = {field.name for field in dataclasses.fields(Entry)}
    try:
        values = parse_yaml(file.read_text(encoding="utf-8")) or {}
        for name, entry in values.items():
            unknown = set(entry) - known
            if unknown or not isinstance(entry.get("kind"), str):
                raise ValueError(
                    f"{name}: " + (f"unknown key {min(unknown)!r}" if unknown else "no kind")
                )
    except (yaml.YAMLError, ValueError, AttributeError, TypeError, OSError) as error:
        what = one_line(error)[:200]
        raise UserCatalogError(f"{file}: {what}; correct the file or delete it") from None
    return dict(values)


def _write(values: Mapping[str, Mapping[str, Any]]) -> None:
    import yaml

    text = "# Your own names of models: visuals checkpoints add | remove\n"
    text += yaml.safe_dump(dict(values), sort_keys=False)
    atomic_files.write((config_folder() / FILE).resolve(), text.encode())  # may be a link
