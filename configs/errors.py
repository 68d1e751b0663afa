"""The errors of visuals: one base, and whether the request or the run is at fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class VisualsError(Exception):
    """Base of every error that visuals raises on purpose; its message is meant for users."""

    exit_code = 1


class UsageError(VisualsError, ValueError):
    """The request cannot be carried out: a setting, prompt, file or name in it is wrong."""

    exit_code = 2


class RunError(VisualsError, OSError):
    """The request is valid, but a disk, host, library or device failed while it ran."""


class ModelsTooLargeError(RunError):
    """The models of a run do not fit into the memory of its device."""


class MissingDependencyError(RunError):
    """An optional library is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed; pip install 'product-visuals[{extra}]'")


class RunFolderError(UsageError):
    """A run folder cannot be used as asked: it is missing, broken, locked or another run's."""


class OtherSettingsError(RunFolderError):
    """A run folder holds a run with other settings."""


class AnnotationError(UsageError):
    """Annotations or a training set cannot be written as asked."""


class NothingToAnnotateError(AnnotationError):
    """The run kept no picture."""


class WriteError(RunError):
    """A run folder cannot be written to: the disk is full or read-only, or the folder is gone."""


_OUT_OF_MEMORY = (
    "out of memory",  # CUDA, ROCm, MPS
    "out_of_device_memory",  # XPU
    "can't allocate memory",  # torch's allocator on the CPU: posix_memalign, mmap
    "not enough memory",  # the same on Windows
    "_status_alloc_failed",  # cuBLAS, cuDNN, cuSOLVER
    "cublas_status_not_initialized",  # no room for a handle's own buffers
    "cudnn_status_not_initialized",
    "unable to find an engine",  # cuDNN: none fits into the memory that is left
    "unable to find a valid cudnn algorithm",
    "std::bad_alloc",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is MemoryError, or one of torch's for memory that a CPU or GPU lacks."""
    if isinstance(error, MemoryError):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(text in message for text in _OUT_OF_MEMORY)


def one_line(message: object) -> str:
    """Return the text of an error or another object on one line, runs of blanks folded into one.

    >>> one_line(ValueError("got 3,\\n  expected 4"))
    'got 3, expected 4'
    """
    return " ".join(str(message).split())


def first_sentences(message: object, most: int = 300) -> str:
    """Return the text of a library's error on one line, without its last stop; of a long one whole
    sentences, where it has any.

    >>> first_sentences("No file. Expected one elsewhere.", 20)
    'No file'
    """
    text = one_line(message)
    if len(text) > most:
        whole, stop, _ = text[:most].rpartition(". ")
        text = whole if stop else f"{text[:most]}…"
    return text.rstrip(".")


@contextmanager
def writable(path: object) -> Iterator[None]:
    """Turn an OSError of the block into a WriteError that says how to go on."""
    try:
        yield
    except VisualsError:
        raise
    except OSError as error:
        raise WriteError(
            f"cannot write to {path} ({error.strerror or one_line(error)}); mend that and repeat "
            "the command, or set --out to a folder of yours"
        ) from None
