"""Memory: measures it, frees caches, and tunes malloc and garbage collection.

`keep_freed`, `loading` and `loaded` act on the whole process: they are for programs, not for
library calls.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT, _LARGE = 1 << 30, 1 << 27


def main_memory() -> tuple[int, int]:
    """(All, available) main memory in bytes, within the limit of a container (cgroup version 2)."""
    import psutil

    memory = psutil.virtual_memory()
    with contextlib.suppress(OSError, ValueError):  # no such group, or no limit: "max"
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{n}").read_text()) for n in ("max", "current"))
        files = int((group / "memory.stat").read_text().partition("\nfile ")[2].split("\n")[0])
        return min(memory.total, limit), min(memory.available, limit - used + files)
    return memory.total, memory.available


def largest_batch(asked: int, free: int, each: int) -> int:
    """How many items of `each` bytes fit into four fifths of `free` bytes, 1 to `asked`; the rest
    is for the allocator's fragments and what the driver takes.

    >>> largest_batch(8, free=8 << 30, each=1 << 30)
    6
    """
    return max(1, min(asked, free * 4 // 5 // max(1, each)))


def cuda_peak(device: Any, work: Callable[[], object]) -> int:
    """Bytes that `work` takes at its peak on a CUDA device, beside what is allocated before it."""
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return int(torch.cuda.max_memory_allocated(device) - before)


def cuda_free(device: Any) -> int:
    """Bytes that new tensors may take on a CUDA device: the driver's free ones and those that torch
    keeps unused."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + unused)


def give_back() -> None:
    """Return unreferenced memory to the system and the GPU."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def keep_freed() -> None:
    """Keep freed memory in this process for its next tensors, except for tensors of 128 MiB and
    more. No effect where the C library is not glibc.

    Otherwise it returns to the system after each call and comes back page by page, which takes a
    tenth of a detector's time on a CPU.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, size in ((_TRIM_THRESHOLD, _KEPT), (_MMAP_THRESHOLD, _LARGE)):
            mallopt(option, size)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Disable garbage collection while importing and loading models (saves a seventh of a short
    run)."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextlib.contextmanager
def loaded() -> Iterator[None]:
    """Within `loading`, once all is loaded: collect garbage again, but only among objects created
    from now on."""
    before = gc.isenabled()
    gc.freeze()
    gc.enable()
    try:
        yield
    finally:
        gc.unfreeze()
        if not before:
            gc.disable()
