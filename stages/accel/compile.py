"""Regional compilation: the transformer blocks of a UNet and its ControlNets, by torch.compile.

Blocks of one shape share what is compiled, so that it takes seconds, not minutes. Knows diffusers'
models; no pipelines, no files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ...checkpoints.user_dirs import cache_folder
from ...configs.errors import UsageError

_BLOCKS = ("BasicTransformerBlock",)
"""As in diffusers' `UNet2DConditionModel._repeated_blocks`; its ControlNets name none."""
_COMPILERS = ("g++", "clang++", "c++", "cl")


class NoCompilerError(UsageError):
    """torch compiles for a CPU by a C++ compiler; there is none."""


def blocks(*models: Any) -> int:
    """Compile the blocks of each model at their first call; how many there are. What is compiled
    is kept in TORCHINDUCTOR_CACHE_DIR, by default among the user's caches. A block that is
    compiled already stays as it is. Raises NoCompilerError."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
    named = (os.environ.get("CXX"), *_COMPILERS)
    cpu = any(parameter.device.type == "cpu" for model in models for parameter in _first(model))
    if cpu and not any(shutil.which(name) for name in named if name):
        raise NoCompilerError(
            f"run.torch_compile on a CPU needs a C++ compiler ({' or '.join(_COMPILERS)}): "
            "none is there; install one, or set run.torch_compile=false"
        )
    found = [m for model in models for m in model.modules() if type(m).__name__ in _BLOCKS]
    for block in found:
        if not is_compiled(block):
            block.compile()
    return len(found)


def _first(model: Any) -> Iterator[Any]:
    return islice(model.parameters(), 1)


def is_compiled(module: Any) -> bool:
    """Whether calls of this module itself run what was compiled."""
    return getattr(module, "_compiled_call_impl", None) is not None
