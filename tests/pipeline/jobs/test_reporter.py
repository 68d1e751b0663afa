"""What a program without a terminal of its own says while it downloads models."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.hub_stand_in import Hub, connect, files_of

from visuals.checkpoints.hub.first_use import Needed
from visuals.pipeline.jobs.reporter import ProgramReporter, Reporter


class Lines(ProgramReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: list[tuple[str, int, int]] = []

    def status(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, stage: str, done: int, total: int) -> None:
        self.counts.append((stage, done, total))


def test_a_program_names_what_it_downloads_and_a_library_call_leaves_it_to_the_loaders(
    own_home: Path, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hub() as hub:
        connect(monkeypatch, hub, own_home / "hub")
        hub.add("me/sam", files_of(mini / "sam"))
        Reporter().download([Needed("me/sam")])
        assert not hub.weights()
        reporter = Lines()
        for _ in range(2):
            reporter.download([Needed("me/sam"), Needed("mini/sd")])
        assert len(reporter.lines) == 1 and reporter.lines[0].startswith("downloading me/sam, 7")
        assert hub.weights() == {"model.safetensors"}
        stages, done, totals = map(set, zip(*reporter.counts, strict=True))
        assert stages == {"download"} and {0, *totals} <= done and len(totals) == 1
