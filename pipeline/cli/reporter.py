"""The reporter of the command line: messages, progress bars, and Ctrl-C.

The first Ctrl-C finishes what is in hand, the second stops at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from ...training.stop_request import StopRequest
from ..jobs.reporter import ProgramReporter
from . import downloads
from .output import note, warn
from .progress import StageProgress
from .verbosity import Verbosity, log_event, logging_as

if TYPE_CHECKING:
    from ...checkpoints.hub.first_use import Needed
    from ..runs.folder import RunFolder
    from ..runs.manifest import ManifestRecord

_NOTICE = "visuals: note: finishing the pictures in hand; Ctrl-C again stops now"


class InterruptHandler(StopRequest):
    """`with InterruptHandler(notify) as stop: …`: `stop()` is true after the first SIGINT or
    SIGTERM, which is answered by `notify`, or on stderr where that returns False; the second ends
    the process at once where `folder` is set, also while the run that was stopped is saved, until
    `release`; it raises KeyboardInterrupt where `folder` is not set."""

    folder: RunFolder | None = None

    def __init__(self, notify: Callable[[str], bool]) -> None:
        super().__init__()
        self._notify = notify

    def __call__(self) -> bool:
        return self.made

    def _on_first_signal(self) -> None:
        # Not by click: the signal may have come in the middle of what it writes. Bars that are
        # drawn would take the line off again, so they draw it themselves.
        if not self._notify(_NOTICE):
            os.write(2, f"\n{_NOTICE}\n".encode())

    def __exit__(self, *exception: object) -> None:
        if not (self.made and self.folder is not None):
            self.release()

    def release(self) -> None:
        """Restore the former signal handlers."""
        super().__exit__()

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


class TerminalReporter(ProgramReporter):
    """Prints messages and progress bars on stderr, and answers Ctrl-C while shots run.

    Args:
        as_json: print results as JSON, and show no progress.
        yes: download models without asking.
        verbosity: which messages are printed, and where.
    """

    def __init__(
        self, as_json: bool = False, *, yes: bool = False, verbosity: Verbosity | None = None
    ) -> None:
        self.as_json, self.yes = as_json, yes
        self.verbosity = verbosity = verbosity or Verbosity()
        lines = verbosity.quiet or verbosity.log_json
        self._bars = StageProgress(as_json and not verbosity.log_json, lines)
        self.stop = InterruptHandler(self._bars.notify)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> TerminalReporter:
        from ...stages.diffusion.step_reports import reported_to

        self._open.enter_context(logging_as(self.verbosity))
        self._open.enter_context(reported_to(self._bars.step))
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.release()
        self.close()
        self._open.close()

    def close(self) -> None:
        """Take the progress bars off the terminal; later progress shows new ones."""
        self._bars.close()

    def note(self, text: str) -> None:
        note(text)

    def warn(self, text: str) -> None:
        warn(text)

    def status(self, text: str) -> None:
        self._bars.say(text)

    def progress(self, stage: str, done: int, total: int) -> None:
        self._bars.update(stage, done, total)

    def finished(self, record: ManifestRecord) -> None:
        why = record.reason or record.error
        text = f"{record.id}: {record.status}{f', {why.message}' if why else ''}"
        values = {"event": "picture", "id": record.id, "status": record.status}
        log_event(text, values, logging.DEBUG)

    def download(self, models: Collection[Needed]) -> None:
        from ...checkpoints.hub import first_use

        if missing := first_use.missing(models):
            self.close()
            downloads.download(missing, yes=self.yes)

    @contextlib.contextmanager
    def running(self, folder: RunFolder, *, may_abandon: bool) -> Iterator[None]:
        if may_abandon:
            self.stop.folder = folder
        with super().running(folder, may_abandon=may_abandon), self.stop:
            yield
