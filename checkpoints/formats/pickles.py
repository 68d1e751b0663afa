"""Reads weights from .ckpt, .pth and .pt files.

A pickle can run code when it is read, so the caller must allow it, and torch reads it with
weights_only, which accepts tensors and plain containers and refuses everything else.
"""

from __future__ import annotations

import contextlib
import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

SUFFIXES = (".ckpt", ".pth", ".pt")
"""Pickles of weights that are read where that is allowed."""
UNSAFE_SUFFIXES = (*SUFFIXES, ".bin", ".pkl", ".pickle")
"""Pickles that are never fetched from the hub."""
_LEFT_BY_TRAINERS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
)
"""Classes in published .ckpt files such as sd-v1-4.ckpt; they become an `_Unread`."""


class PickleError(UsageError):
    """The pickle is not read: not allowed, damaged, or it holds something else than weights."""


class _Unread:
    """Placeholder of objects that are neither tensors nor plain values; accepts any arguments."""

    def __new__(cls, *args: Any, **values: Any) -> _Unread:
        return super().__new__(cls)

    def __init__(self, *args: Any, **values: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


class _Parameters(dict[str, Any]):
    """torch's ParameterDict, in which A1111's first textual inversions keep their tensor."""

    def __setstate__(self, state: Any) -> None:
        self.update(state["_parameters"])


_PLAIN = (int, float, str, bytes, type(None), _Unread)


def is_pickle(path: str | Path) -> bool:
    """Return whether a file name is that of a pickle of weights."""
    return str(path).lower().endswith(SUFFIXES)


def require(path: str | Path, allowed: bool) -> None:
    """Raise PickleError unless reading the pickle is `allowed`."""
    if not allowed:
        raise PickleError(
            f"{path}: a pickle, which could run code: expected safetensors; if its source is "
            "trusted, allow it (--allow-pickle, or allow_pickle: true in a preset's section run)"
        )


def load(path: str | Path, *, allowed: bool, device: str = "cpu", mapped: bool = False) -> Any:
    """Read what a file holds: tensors in plain containers. Arguments and errors are `read`'s."""
    import torch

    require(path, allowed)
    try:
        with _unread(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(
                path,
                map_location=device,
                weights_only=True,
                mmap=mapped and device == "cpu" and _is_zip(path),
            )
    except (OSError, MemoryError):
        raise
    except Exception as error:  # damaged bytes can make an unpickler raise anything
        cause = error.__context__  # which torch wraps in advice to read the file nevertheless
        reason = cause if isinstance(cause, pickle.UnpicklingError) else error
        what = one_line(reason).partition(" Please use")[0]
        raise PickleError(
            f"{path}: not a file of plain weights ({what[:160]}); download it anew from its source"
        ) from error


def read(
    path: str | Path, *, allowed: bool, device: str = "cpu", mapped: bool = False
) -> dict[str, torch.Tensor]:
    """Read the state dict of a file, without the wrappers and plain values of trainers.

    Args:
        path: The file.
        allowed: Whether the user allows reading pickles.
        device: Where to put the tensors; "meta" reads names and shapes alone.
        mapped: Memory-map the file if its format allows it, so that tensors are read when used.

    Raises:
        PickleError: Reading is not allowed, or the file holds something else than weights.
    """
    import torch

    held = load(path, allowed=allowed, device=device, mapped=mapped)
    for wrapper in ("model", "state_dict"):
        if isinstance(held, dict) and isinstance(held.get(wrapper), dict):
            held = held[wrapper]
    if not isinstance(held, dict):
        raise PickleError(f"{path}: holds a {type(held).__name__}: expected names with tensors")
    strange = [v for v in held.values() if not isinstance(v, (torch.Tensor, *_PLAIN))]
    state = {
        str(name).removeprefix("module."): tensor
        for name, tensor in held.items()
        if isinstance(tensor, torch.Tensor)
    }
    if strange or not state:
        what = f"a {type(strange[0]).__name__} among its weights" if strange else "no tensors"
        raise PickleError(f"{path}: holds {what}: expected names with tensors")
    return state


def _unread() -> contextlib.AbstractContextManager[Any]:
    import torch

    if torch.torch_version.TorchVersion(torch.__version__) < "2.6":  # has no safe_globals
        return contextlib.nullcontext()
    names: Any = [(_Unread, name) for name in _LEFT_BY_TRAINERS]
    names.append((_Parameters, "torch.nn.modules.container.ParameterDict"))
    return torch.serialization.safe_globals(names)


def _is_zip(path: str | Path) -> bool:
    """Return whether the file is in torch's current format, which can be memory-mapped."""
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def fitted(cls: Any, config: Any, state: Mapping[str, torch.Tensor], path: str | Path) -> Any:
    """Build a model of transformers with exactly these weights, named as in the published
    safetensors. Raises PickleError where some are missing, unexpected or of another shape."""
    import torch

    model, report = cls.from_pretrained(
        None, config=config, state_dict=dict(state), dtype=torch.float32, output_loading_info=True
    )
    wrong = {k: sorted(map(str, report[f"{k}_keys"])) for k in ("missing", "unexpected")}
    wrong["mismatched"] = sorted(str(k[0]) for k in report["mismatched_keys"])
    for how, names in wrong.items():
        if names:
            raise PickleError(
                f"{path}: {len(names)} {how} weights, {names[0]} the first: expected the layout of "
                f"the original release; a fine-tune that changed the model cannot be read"
            )
    return model
