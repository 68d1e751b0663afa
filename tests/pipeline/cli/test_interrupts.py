"""Ctrl-C: who answers it while a run is worked on, saved and left."""

from __future__ import annotations

import signal
from pathlib import Path

from visuals.pipeline.cli.reporter import TerminalReporter
from visuals.pipeline.runs.folder import RunFolder


def test_a_second_signal_while_a_stopped_run_is_saved_is_still_answered(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    folder = RunFolder(tmp_path, request={}, settings={})
    with TerminalReporter(True) as reporter:
        with reporter.running(folder, may_abandon=True):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == reporter.stop._on_signal
    assert signal.getsignal(signal.SIGINT) == before

    with TerminalReporter(True) as reporter:
        with reporter.running(folder, may_abandon=True):
            pass
        assert signal.getsignal(signal.SIGINT) == before, "a run that was not stopped"
