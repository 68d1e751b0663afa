"""The user's own names of models, in a file of the user's configuration folder.

Knows no network. The file has the fields of catalog.yaml: it can be edited by hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...configs.errors import UsageError, one_line
from .. import atomic_files
from ..user_dirs import config_folder
from .names import CATALOG, Entry, UnknownCheckpointError, entries, looks_like_repository

FILE = "checkpoints.yaml"
PICKLES = (".bin", ".ckpt", ".pkl", ".pickle", ".pt", ".pth")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class UserCatalogError(UsageError):
    """A name that cannot be added, or a file that cannot be read; got, expected, remedy."""


def read() -> dict[str, Entry]:
    """The user's names; none where there is no file."""
    return entries(_values())


def add(name: str, ref: str, *, kind: str, files: tuple[str, ...] = ()) -> Entry:
    """Write a name for a folder, a .safetensors file or a hub repository.

    Raises UserCatalogError for a name that is taken or malformed, and for a pickle;
    UnknownCheckpoint for a reference that is none of these.
    """
    values = _values()
    if not _NAME.fullmatch(name):
        raise UserCatalogError(
            f"name {name!r}: expected letters, digits, '.', '_' and '-', as in my-sneakers"
        )
    if name in CATALOG:
        raise UserCatalogError(f"{name!r} is a name of the catalogue; take another")
    if name in values:
        raise UserCatalogError(
            f"{name!r} is taken; take another, or first: visuals checkpoints remove {name}"
        )
    path = Path(ref).expanduser()
    made: dict[str, Any] = {"kind": kind}
    if path.exists():
        made["path"] = str(_usable(path))
    elif ref in CATALOG or ref in values:
        raise UserCatalogError(f"{ref!r} is a name already; {name!r} would be a second one for it")
    elif looks_like_repository(ref) and path.suffix.lower() not in (*PICKLES, ".safetensors"):
        made["repository"] = ref
    else:
        raise UnknownCheckpointError(
            f"{ref!r}: no such folder or file (expected a folder, a .safetensors file or a hub "
            "repository owner/name)"
        )
    if files:
        made["files"] = list(files)
    _write({**values, name: made})
    return entries({name: made})[name]


def remove(name: str) -> bool:
    """Take a name out; whether it was there. The files it stood for stay."""
    values = _values()
    if name not in values:
        return False
    _write({key: value for key, value in values.items() if key != name})
    return True


def _usable(path: Path) -> Path:
    path = path.resolve()
    if path.is_file() and path.suffix.lower() in PICKLES:
        raise UserCatalogError(
            f"{path.name} is a pickle, which could run code: expected .safetensors; one that is "
            "trusted is named by its path, with --allow-pickle"
        )
    if path.is_file() and path.suffix.lower() != ".safetensors":
        raise UserCatalogError(f"{path.name}: expected a folder or a .safetensors file")
    if path.is_dir() and not any(path.rglob("*.safetensors")):
        raise UserCatalogError(f"{path}: no .safetensors file in this folder; check the path")
    return path


def _values() -> dict[str, Mapping[str, Any]]:
    import yaml

    file = config_folder() / FILE
    if not file.is_file():
        return {}
    known = {field.name for field in fields(Entry)}
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
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
    atomic_files.write(config_folder() / FILE, text.encode())
