"""Finds LoRA files in the user's folders by file stem or `ss_output_name`.

Headers and hashes are cached in the user's cache folder by path, size and modification time, so
that a folder of hundreds is not read again for every run.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...configs.errors import UsageError
from .. import atomic_files, hashing
from ..identify.base_family import Base
from ..user_dirs import cache_folder
from . import file as lora_file
from .file import LoraFile, LoraFileError

_VERSION = 5
_MEMORY: dict[str, dict[str, Any]] = {}


class LoraNotFoundError(UsageError):
    """The folders have no LoRA of that name."""


def find(name: str, folders: Sequence[str | Path]) -> Path:
    """Return the file of `<lora:name:1>`: by stem, folder by folder, else by `ss_output_name`.

    Subfolders count. A file with a generic stem (pytorch_lora_weights, adapter_model) has its
    folder's name. Raises LoraNotFoundError.
    """
    files = list(files_in(folders))
    for file in files:
        if name in (file.stem, str(Path(file.parent.name) / file.stem), _name(file)):
            return file
    known = {_name(file) for file in files}
    for file in files:
        with contextlib.suppress(LoraFileError):
            output_name = read(file).output_name
            if output_name == name:
                return file
            known |= {output_name} if output_name else set()
    for file in files_in(folders, (".pt", ".ckpt", ".bin")):
        if file.stem == name:
            raise LoraNotFoundError(f"LoRA {file} is a pickle; convert it to .safetensors")
    near = difflib.get_close_matches(name, sorted(known), 1, 0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    names = sorted(known)
    rest = f" and {len(names) - 12} more" if len(names) > 12 else ""
    raise LoraNotFoundError(
        f"no LoRA {name!r} in {', '.join(map(str, folders)) or 'any folder'}{hint} "
        f"(there: {', '.join(names[:12]) or 'none'}{rest}); set generate.lora_dirs or --lora-dir"
    )


def in_folders(folders: Sequence[str | Path]) -> Callable[[str], LoraFile]:
    """A function that finds and reads the LoRA of a name in these folders, each name once."""

    @functools.cache
    def find_lora(name: str) -> LoraFile:
        return read(find(name, folders))

    return find_lora


def files_in(
    folders: Iterable[str | Path], endings: Sequence[str] = (".safetensors",)
) -> Iterator[Path]:
    """Yield the LoRA files of folders and their subfolders in order, each once."""
    seen = set()
    for folder in folders:
        place = Path(folder).expanduser()
        for file in sorted(place.rglob("*")) if place.is_dir() else []:
            if file.suffix.lower() in endings and file.is_file() and file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def read(path: str | os.PathLike[str]) -> LoraFile:
    """Read a LoRA's header, from the cache if the file has not changed. Raises LoraFileError."""
    path = Path(path)
    try:
        entry = _entry(path)
    except OSError as error:
        raise LoraFileError(f"cannot read LoRA {path}: {error.strerror}; check the path") from None
    if "lora" not in entry:
        entry["lora"] = asdict(lora_file.read(path)) | {"path": ""}
        _save()
    kept = entry["lora"].items()
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in kept}
    return LoraFile(**{**values, "path": path, "base": Base(**values["base"])})


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, cached; A1111's short hash (AutoV2) is the first 10 digits."""
    path = Path(path)
    entry = _entry(path)
    if "sha256" not in entry:
        entry["sha256"] = hashing.sha256(path)
        _save()
    return str(entry["sha256"])


def short_hash(path: str | os.PathLike[str]) -> str:
    """Return A1111's hash of a LoRA, 12 hex digits: its trainer's `sshs_model_hash`, else the
    SHA-256 of the tensors without the header (sd-scripts' addnet hash, AutoV3)."""
    written = (read(path).model_hash or "").lower()
    if re.fullmatch(r"[0-9a-f]{12,64}", written):
        return written[:12]
    entry = _entry(Path(path))
    if "tensors_sha256" not in entry:
        with Path(path).open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
        entry["tensors_sha256"] = hashing.sha256(path, start=start)
        _save()
    return str(entry["tensors_sha256"])[:12]


def cache_file() -> Path:
    """Return the file of cached headers and hashes."""
    return cache_folder() / "loras.json"


def _name(file: Path) -> str:
    return lora_file.name_of(file)


def _entry(path: Path) -> dict[str, Any]:
    """Return the cache entry of a file in its current state."""
    if not _MEMORY:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            kept = json.loads(cache_file().read_text(encoding="utf-8"))
            if kept.get("version") == _VERSION:
                _MEMORY.update(kept["files"])
    key, now = str(path.resolve()), path.stat()
    # The alphas of a PEFT file are in a file beside it.
    beside = path.parent / "adapter_config.json"
    stamp = [now.st_mtime_ns, now.st_size, beside.stat().st_mtime_ns if beside.is_file() else 0]
    entry = _MEMORY.get(key)
    if entry is None or entry.get("stamp") != stamp:
        entry = _MEMORY[key] = {"stamp": stamp}
    return entry


def _save() -> None:
    """Write the cache; a folder that cannot be written is ignored."""
    text = json.dumps({"version": _VERSION, "files": _MEMORY})
    with contextlib.suppress(OSError):
        atomic_files.write(cache_file(), text.encode())
