"""Reads .pth and .pt files of weights; knows no models.

A pickle can run code when it is read. So it is read only where that is allowed, and then with
torch's weights_only, which takes tensors and plain containers and refuses all else.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

SUFFIXES = (".pth", ".pt")


class PickleError(ValueError):
    """A .pth file that is not read; the message says got, expected, remedy."""


def is_pickle(path: str | Path) -> bool:
    """Whether the name is that of a pickle of weights."""
    return str(path).lower().endswith(SUFFIXES)


def read(path: str | Path, *, allowed: bool) -> dict[str, torch.Tensor]:
    """The state dict of a file, on the CPU, without the wrappers that trainers put round it.

    Raises PickleError where that is not `allowed`, or the file holds more or less than weights.
    """
    import torch

    if not allowed:
        raise PickleError(
            f"{path}: a pickle, which could run code: expected safetensors; if its source is "
            "trusted, allow it (--allow-pickle, or run.allow_pickle: true)"
        )
    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        what = " ".join(str(error).split())[:160]
        raise PickleError(
            f"{path}: not a file of plain weights ({what}); download it anew from its source"
        ) from error
    for wrapper in ("model", "state_dict"):
        if isinstance(held, dict) and isinstance(held.get(wrapper), dict):
            held = held[wrapper]
    if not isinstance(held, dict) or not all(isinstance(v, torch.Tensor) for v in held.values()):
        raise PickleError(f"{path}: holds a {type(held).__name__}: expected names with tensors")
    return {str(name).removeprefix("module."): tensor for name, tensor in held.items()}


def fitted(cls: Any, config: Any, state: Mapping[str, torch.Tensor], path: str | Path) -> Any:
    """A model of class `cls` with exactly these weights; raises PickleError where they do not fit.

    `state` is named as in the model's published safetensors: the library renames it further to
    what its version calls them.
    """
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
