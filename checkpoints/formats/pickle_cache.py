"""The .ckpt, .pth and .pt files of A1111's folders as .safetensors files, written once.

A file is converted when it is first allowed and asked for, into the user's cache folder, and anew
when its size or time of change differs. Knows no models.
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
"""Seconds after which what a killed conversion left is nobody's any more."""


def folder() -> Path:
    """Where they are kept, in the user's cache."""
    return cache_folder() / "converted"


def is_pickled(path: str | os.PathLike[str]) -> bool:
    """Whether this is a file of weights that only a pickle reader opens."""
    return pickles.is_pickle(str(path)) and Path(path).is_file()


def as_safetensors(path: str, *, allowed: bool) -> str:
    """The path itself; of a pickle the .safetensors file of the same weights, without the second
    set (`model_ema.*`) that a trainer keeps.

    Raises PickleError where reading it is not `allowed`, and where it holds something else or the
    disk is full.
    """
    if not is_pickled(path):
        return path
    source, target = Path(path), _target(Path(path))
    if allowed and _is_whole(target):
        return str(target)
    state = pickles.read(source, allowed=allowed, mapped=True)
    try:
        _write(state, target)
    except OSError as error:
        raise PickleError(_unwritten(source, error)) from error
    _drop_older(target)
    return str(target)


def shapes(path: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Sizes of a pickle's tensors by name, without its weights; raises PickleError."""
    target = _target(Path(path))
    if _is_whole(target):
        return safetensors_header.read(target).shapes
    state = pickles.read(Path(path), allowed=True, device="meta")
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _target(source: Path) -> Path:
    real = source.resolve()
    now = real.stat()
    place = sha256(os.fsencode(real)).hexdigest()[:12]
    state = sha256(f"{_VERSION} {now.st_size} {now.st_mtime_ns}".encode()).hexdigest()[:12]
    return folder() / f"{place}-{state}-{source.stem[:40]}.safetensors"


def _is_whole(target: Path) -> bool:
    try:
        safetensors_header.read(target)
    except (safetensors_header.HeaderError, OSError):
        return False
    return True


def _write(state: dict[str, torch.Tensor], target: Path) -> None:
    """Tensors that share their memory are written apart: the format knows none that do."""
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
        except SafetensorError as error:  # in words alone, what the system said
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        with open(part, "rb+") as file:
            os.fsync(file.fileno())


def _unwritten(source: Path, error: OSError) -> str:
    what = f"{source}: its weights cannot be kept in {folder()}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        size = source.stat().st_size / 1e9
        return f"{what}; free {size:.2g} GB there, or set XDG_CACHE_HOME to another disk"
    return f"{what}; set XDG_CACHE_HOME to a folder that can be written"


def _drop_older(target: Path) -> None:
    """Conversions of what the file was before, and what killed ones left."""
    place = target.name.partition("-")[0]
    with contextlib.suppress(OSError):
        for file in folder().iterdir():
            old = file.name.startswith(f"{place}-") and file != target
            left = file.name.startswith(".") and time.time() - file.stat().st_mtime > _STALE
            if old or left:
                file.unlink()
