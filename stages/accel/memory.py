"""Memory: which errors mean that there is none left, what to give back before the next try, and
what not to give back, or not to look for, meanwhile.

Knows torch by its messages, and the C library's malloc; no shots, no models.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Iterator

_SAID = (
    "out of memory",  # CUDA, ROCm, MPS, XPU
    "can't allocate memory",  # torch's allocator on the CPU: posix_memalign, mmap
    "not enough memory",  # the same on Windows
    "cublas_status_alloc_failed",
    "std::bad_alloc",
)

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT, _LARGE = 1 << 30, 1 << 27


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


def keep_freed() -> None:
    """From now on memory that this process frees stays its own, for its next tensors, but for
    tensors of 128 MiB and more. Where the C library is not glibc nothing changes.

    It would go back to the system after each call and come again page by page: a tenth of a
    detector's time on a CPU.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, size in ((_TRIM_THRESHOLD, _KEPT), (_MMAP_THRESHOLD, _LARGE)):
            mallopt(option, size)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """While it lasts, Python does not look for cycles that nobody holds: of libraries and models
    nearly all stays, and going through that again and again takes a seventh of a short run."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextlib.contextmanager
def loaded() -> Iterator[None]:
    """Within `loading`, when all is there: Python looks again, but only through what comes from now
    on. For a process that is the run's own."""
    before = gc.isenabled()
    gc.freeze()
    gc.enable()
    try:
        yield
    finally:
        gc.unfreeze()
        if not before:
            gc.disable()
