"""Converts .ckpt, .pth and .pt files to .safetensors files in the user's cache folder, once.

A file is converted at its first use, and again when its size or modification time has changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from .. import atomic_files
from ..user_dirs import cache_folder
from . import pickles, safetensors_header
from .pickles import PickleError

if TYPE_CHECKING:
    import torch

_VERSION = 1
_STALE = 3600.0
"""Seconds after which a partial file is the left-over of a killed conversion."""


def folder() -> Path:
    """Return the folder of the converted files."""
    return cache_folder() / "converted"


def is_pickled(path: str | os.PathLike[str]) -> bool:
    """Return whether this is an existing pickle of weights."""
    return pickles.is_pickle(str(path)) and Path(path).is_file()


def as_safetensors(path: str, *, allowed: bool) -> str:
    """Return the path; for a pickle the converted file, without a trainer's `model_ema.*` copy.

    Raises:
        PickleError: Reading it is not `allowed`, it holds something else, or the disk is full.
    """
    if not is_pickled(path):
        return path
    source, target = Path(path), _target(Path(path))
    if allowed and _is_complete(target):
        return str(target)
    state = pickles.read(source, allowed=allowed, mapped=True)
    try:
        _write(state, target)
    except OSError as error:
        raise PickleError(_explain_write_error(source, error)) from error
    _drop_older(target)
    return str(target)


def shapes(path: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Read the shapes of a pickle's tensors by name. Raises PickleError."""
    target = _target(Path(path))
    if _is_complete(target):
        return safetensors_header.read(target).shapes
    state = pickles.read(Path(path), allowed=True, device="meta")
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _target(source: Path) -> Path:
    real = source.resolve()
    now = real.stat()
    place = sha256(os.fsencode(real)).hexdigest()[:12]
    state = sha256(f"{_VERSION} {now.st_size} {now.st_mtime_ns}".encode()).hexdigest()[:12]
    return folder() / f"{place}-{state}-{source.stem[:40]}.safetensors"


def _is_complete(target: Path) -> bool:
    try:
        safetensors_header.read(target)
    except (safetensors_header.HeaderError, OSError):
        return False
    return True


def _write(state: dict[str, torch.Tensor], target: Path) -> None:
    """Write a .safetensors file; tensors that share memory are copied, as the format requires."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    weights: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in state.items():
        if name.startswith("model_ema."):
            continue
        memory = tensor.untyped_storage().data_ptr()
        weights[name] = tensor.clone() if memory in seen else tensor.contiguous()
        seen.add(memory)
    with atomic_files.beside(target) as part:
        try:
            save_file(weights, part, metadata={"format": "pt"})
        except SafetensorError as error:  # has the error number of the system in its text only
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        with open(part, "rb+") as file:
            os.fsync(file.fileno())


def _explain_write_error(source: Path, error: OSError) -> str:
    what = f"{source}: cannot write its weights to {folder()}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        size = source.stat().st_size / 1e9
        return f"{what}; free {size:.2g} GB there, or set XDG_CACHE_HOME to another disk"
    return f"{what}; set XDG_CACHE_HOME to a folder that can be written"


def _drop_older(target: Path) -> None:
    """Delete conversions of older states of the file, and left-overs of killed conversions."""
    place = target.name.partition("-")[0]
    with contextlib.suppress(OSError):
        for file in folder().iterdir():
            old = file.name.startswith(f"{place}-") and file != target
            left = file.name.startswith(".") and time.time() - file.stat().st_mtime > _STALE
            if old or left:
                file.unlink()
