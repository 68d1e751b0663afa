"""Errors of training."""

from __future__ import annotations

import errno
from pathlib import Path

from ..configs.errors import RunError, UsageError, VisualsError, one_line


class TrainingError(UsageError):
    """The training cannot start or resume with these settings."""


class DivergedError(VisualsError):
    """Loss or gradient is not finite; the last checkpoint is kept."""


class TrainingStopped(Exception):
    """The training stopped on request after optimizer step `step` and saved `checkpoint`."""

    def __init__(self, step: int, checkpoint: Path | None) -> None:
        super().__init__(f"stopped after step {step}")
        self.step, self.checkpoint = step, checkpoint


class TrainingWriteError(RunError):
    """A file could not be written (disk full, no permission); the last checkpoint is kept."""


class TrainingMemoryError(RunError):
    """The training does not fit into the memory of its device; the last checkpoint is kept."""


def memory_error(error: BaseException, last: Path | None) -> TrainingMemoryError:
    """Return the error for a lack of memory. `last`: the newest checkpoint."""
    return TrainingMemoryError(
        f"the training does not fit into memory ({one_line(error)[:160]}); {kept_checkpoint(last)}:"
        " set mixed_precision: bf16, gradient_checkpointing: true, optimizer_type: AdamW8bit, or a"
        f" lower train_batch_size or resolution, then {how_to_resume(last)}"
    )


def write_error(error: OSError, path: Path, last: Path | None) -> TrainingWriteError:
    """Return the error for a file that could not be written. `last`: the newest checkpoint."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    reason = "the disk is full" if full else (error.strerror or str(error))
    return TrainingWriteError(
        f"cannot write to {path} ({reason}); {kept_checkpoint(last)}: make room, then "
        f"{how_to_resume(last)}"
    )


def kept_checkpoint(last: Path | None) -> str:
    """Say which checkpoint is left after an error."""
    return f"{last.name} is kept" if last else "no checkpoint was written yet"


def how_to_resume(last: Path | None) -> str:
    """Say how to continue after an error."""
    return "resume with resume_from_checkpoint: latest" if last else "start again"
