"""Errors of training."""

from __future__ import annotations

import errno
from pathlib import Path

from ..configs.errors import RunError, UsageError, VisualsError


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
