"""Ctrl-C: the first finishes what is in hand, the second stops at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from ...training.interrupt import StopRequest

if TYPE_CHECKING:
    from ..runs.folder import RunFolder

_SAID = b"visuals: note: stopping after the pictures in hand; once more stops at once\n"


class InterruptHandler(StopRequest):
    """`with Stopper() as stop: …`: `stop()` is true after the first SIGINT or SIGTERM, which is
    answered on stderr; the second ends the process at once where `folder` is set, else it raises
    KeyboardInterrupt."""

    folder: RunFolder | None = None

    def __call__(self) -> bool:
        return self.made

    def _on_first_signal(self) -> None:
        # Not by click: the signal may have come in the middle of what it writes.
        os.write(2, _SAID)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.made and self.folder is not None:
            leave(self.folder, self.code)
        super()._on_signal(number, frame)


def leave(folder: RunFolder, code: int) -> NoReturn:
    """End the process now, whatever its threads do: no line half written, no lock left behind.

    An exception would wait for the threads that have the models.
    """
    from ...checkpoints.atomic_files import drop_unfinished
    from ..runs.locate import resume_hint

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # a store that hangs must not hold the third
    with contextlib.suppress(Exception):
        folder.abandon()
    with contextlib.suppress(Exception):
        drop_unfinished()
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h\n")  # the bars hide the cursor
    os.write(2, f"visuals: warning: stopped; {resume_hint(folder)}\n".encode(errors="replace"))
    os._exit(code)
