"""What a command prints while it works: -q, -v, --log-json, --log-file, and lines of progress."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from helpers.command_line import EVERYTHING, checked, visuals

from visuals.pipeline.cli import progress
from visuals.pipeline.cli.progress import StageProgress

PHOTOS = str(Path(__file__).resolve().parents[3] / "samples" / "photos")


@pytest.fixture(autouse=True)
def _every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)


def run(out: Path, *options: str) -> str:
    command = ("filter", PHOTOS, "-c", "mug", "--limit", "3", "--format", "jpeg", "-o", str(out))
    result = visuals(*command, *options)
    assert result.exit_code == 0, result.stderr
    assert f"report    {out}/report.html" in result.stdout
    return result.stderr


@pytest.mark.usefixtures("mini", "loaded_models")
def test_how_much_is_said(tmp_path: Path) -> None:
    usual = run(tmp_path / "usual")
    assert "visuals: note: jpeg" in usual and "visuals: detecting: 3 of 3" in usual
    assert "01-purple-sneaker" not in usual

    assert run(tmp_path / "quiet", "-q") == ""

    log = tmp_path / "log.txt"
    wordy = run(tmp_path / "wordy", "-v", "--log-file", str(log))
    assert "visuals: 01-purple-sneaker: skipped, no 'mug' above" in wordy
    assert "DEBUG" in log.read_text() and "01-purple-sneaker: skipped" in log.read_text()

    records = [json.loads(line) for line in run(tmp_path / "json", "--log-json").splitlines()]
    assert {"time", "level", "message"} <= set.intersection(*map(set, records))
    steps = [r for r in records if r.get("event") == "progress" and r["stage"] == "detect"]
    assert steps[-1]["done"] == steps[-1]["total"] == 3
    assert records[-1]["event"] == "finished" and records[-1]["skipped"] == {"no_detection": 3}


def test_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 10.0)
    clock = iter(range(0, 10_000, 4))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(clock)))
    with StageProgress() as bars:
        for done in range(1, 11):
            bars.update("generate", done, 10)
        bars.update("detect", 1, 10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "visuals: generating: 3 of 10, 28 s left"
    assert len(lines) == 5 and lines[3] == "visuals: generating: 10 of 10"
    assert lines[4].startswith("visuals: detecting: 1 of 10, ")
    for step in (7, 8, 9):
        bars.step("rerender", step, 30, 8)
    assert capsys.readouterr().err == "visuals: re-rendering 8 pictures: step 7 of 30\n"


def test_bars_show_steps_and_keep_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with StageProgress() as bars:
        assert not bars.notify("no bars are drawn yet")
        bars.update("rerender", 8, 16)
        bars.step("rerender", 3, 30, 8)
        assert bars.notify("a notice")
    last = screen.getvalue().split("re-rendering")[-1]
    assert "8/16" in last and "step 3/30" in last and "a notice" in last


@pytest.mark.usefixtures("mini", "loaded_models")
def test_steps_of_a_batch_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    steps = ("--steps", "2", "--rerender-steps", "4", "--strength", "0.5")
    done = checked("run", "-c", "mug", "-n", "2", *steps, *EVERYTHING, "-o", tmp_path / "run")
    for text in ("generating 2 pictures: step 1 of 2\n", ": step 2 of 2\n"):
        assert text in done.stderr
