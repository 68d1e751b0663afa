"""What can go wrong in a training, each a sentence: got, expected, what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from ..configs.errors import RunError, UsageError, VisualsError


class TrainingError(UsageError):
    """A training that cannot start or go on as it was asked for."""


class DivergedError(VisualsError):
    """The loss is no number any more; the last good checkpoint is kept."""


class TrainingStopped(Exception):
    """A training that was asked to stop, and has saved itself. `step`: how far it came."""

    def __init__(self, step: int, checkpoint: Path | None) -> None:
        super().__init__(f"stopped after step {step}")
        self.step, self.checkpoint = step, checkpoint


class TrainingWriteError(RunError):
    """No space, no right; the last whole checkpoint is kept."""


def unwritten(error: OSError, place: Path, last: Path | None) -> TrainingWriteError:
    """The sentence for a file that could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = "the disk is full" if full else (error.strerror or str(error))
    return TrainingWriteError(
        f"cannot write to {place} ({what}); {kept(last)}: make room, then {again(last)}"
    )


def kept(last: Path | None) -> str:
    """What is left of a training that ended with an error."""
    return f"{last.name} is kept" if last else "no checkpoint was written yet"


def again(last: Path | None) -> str:
    """How to go on from there."""
    return "go on with resume_from_checkpoint: latest" if last else "start again"
