"""Out of memory: which errors mean it, and what to give back before the next try.

Knows torch by its messages; no shots, no models.
"""

from __future__ import annotations

import gc
import sys

_SAID = (
    "out of memory",  # CUDA, ROCm, MPS, XPU
    "can't allocate memory",  # torch's allocator on the CPU: posix_memalign, mmap
    "not enough memory",  # the same on Windows
    "cublas_status_alloc_failed",
    "std::bad_alloc",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help: MemoryError, or what torch says on CPU and GPU."""
    if isinstance(error, MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(text in said for text in _SAID)


def give_back() -> None:
    """Return what nobody holds any more to the system and the GPU."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
