"""Regional compilation: the transformer blocks of a UNet and its ControlNets, by torch.compile.

Blocks of one shape share the compiled code, so that it takes seconds, not minutes. torch keeps it
in TORCHINDUCTOR_CACHE_DIR. Works on the models of diffusers.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ...configs.errors import UsageError

_BLOCKS = (
    *("BasicTransformerBlock", "FluxTransformerBlock", "FluxSingleTransformerBlock"),
    *("ZImageTransformerBlock", "JointTransformerBlock", "QwenImageTransformerBlock"),
)
"""As in diffusers' `_repeated_blocks` of UNets and transformers; its ControlNets name none."""
_COMPILERS = ("g++", "clang++", "c++", "cl")


class NoCompilerError(UsageError):
    """torch needs a C++ compiler to compile for a CPU, and finds none."""


def blocks(*models: Any) -> int:
    """Compile the blocks of each model at their first call; blocks that are compiled already stay.

    Returns:
        How many blocks there are.

    Raises:
        NoCompilerError: on a CPU without a C++ compiler.
    """
    named = (os.environ.get("CXX"), *_COMPILERS)
    cpu = any(parameter.device.type == "cpu" for model in models for parameter in _first(model))
    if cpu and not any(shutil.which(name) for name in named if name):
        raise NoCompilerError(
            f"run.torch_compile on a CPU needs a C++ compiler ({' or '.join(_COMPILERS)}): "
            "found none; install one, or set run.torch_compile=false"
        )
    found = [m for model in models for m in model.modules() if type(m).__name__ in _BLOCKS]
    for block in found:
        if not is_compiled(block):
            block.compile()
    return len(found)


def _first(model: Any) -> Iterator[Any]:
    return islice(model.parameters(), 1)


def is_compiled(module: Any) -> bool:
    """Whether calls of this module run compiled code."""
    return getattr(module, "_compiled_call_impl", None) is not None
