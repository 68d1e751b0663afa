"""A run that nothing interrupts, which runs that are killed and resumed must equal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from helpers.command_line import EVERYTHING, checked
from visuals.benchmarks import crash_recovery

COUNT = 24


@dataclass(frozen=True)
class ReferenceRun:
    """A filter run over `COUNT` small photos, from which every detection is kept.

    Attributes:
        command: The arguments that make it, without `--out`.
        folder: Its run folder.
    """

    command: tuple[str, ...]
    folder: Path


def make(work: Path) -> ReferenceRun:
    """Photos and the run over them, in `work`."""
    crash_recovery.photos(work / "photos", COUNT, 64)
    command = (
        "filter", str(work / "photos"), "--class", "mug", *EVERYTHING, "--batch-size", "1",
    )  # fmt: skip
    checked(*command, "--out", work / "whole")
    return ReferenceRun(command, work / "whole")
