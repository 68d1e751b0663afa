"""Process-wide settings of programs that run visuals: memory, garbage collection, logging.

No library call makes them; the command line, the studio's and a cluster's workers and the hosted
container do, before they load models.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Collection, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from ...checkpoints.user_dirs import cache_folder
from ...stages.accel.late_imports import late_imports
from ...stages.accel.memory import keep_freed, loading
from ...stages.accel.model_listing import one_listing
from .devices import device_and_dtype, has_own_memory

if TYPE_CHECKING:
    from ...configs.run import RunSettings
    from ...configs.schema import Settings


@contextlib.contextmanager
def fast_start(run: RunSettings) -> Iterator[None]:
    """Import libraries and load models faster, within this context, in a process for one run."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(loading())
        if run.accelerate:
            stack.enter_context(one_listing())
        if run.accelerate and not run.torch_compile:
            stack.enter_context(late_imports())
        yield


def prepare(settings: Settings, needs: Collection[str]) -> None:
    """Set this process up for the models of these stages ("generate", "detect" …).

    Memory that models free on a CPU stays the process's, unless it is to be saved
    (`run.low_memory`); a CUDA device computes float32 in TF32; compiled code is kept in the user's
    cache folder; the libraries are quiet.
    """
    device, _ = device_and_dtype(settings)
    if not settings.run.low_memory and not has_own_memory(device):
        keep_freed()
    if device.startswith("cuda"):
        use_tf32()
    if settings.run.torch_compile:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
    draws = {"generate", "rerender"} & set(needs)
    quiet("transformers", *(["diffusers"] if draws else []))


def use_tf32() -> None:
    """Let CUDA multiply float32 matrices in TF32, as its convolutions do by default: up to eight
    times as fast on cards since Ampere, with 10 bits of mantissa in place of 23."""
    import torch

    torch.set_float32_matmul_precision("high")


def quiet(*libraries: str) -> None:
    """Silence the progress bars and messages of `transformers` and `diffusers`, where named, which
    would run through the program's own; imports them, which takes a second for the latter."""
    for name in libraries:
        library = import_module(f"{name}.utils.logging")
        library.set_verbosity_error()
        library.disable_progress_bar()
    for name in ("huggingface_hub", "bitsandbytes"):  # the latter warns where it finds no kernels
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
