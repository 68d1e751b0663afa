"""One writer a run folder: who has it, and what the dead leave."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from visuals.configs.errors import WriteError
from visuals.pipeline.runs.lock import HOLDER, RunLock, RunLockedError

HOLD = """
import sys, time
from visuals.pipeline.runs.lock import RunLock
with RunLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_it_says_who_holds_it_and_is_taken_over_from_the_dead(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    said = rf"process {other.pid} on {socket.gethostname()} since 20"
    with pytest.raises(RunLockedError, match=said), RunLock(tmp_path):
        raise AssertionError("two writers")
    other.kill()
    other.wait()
    assert json.loads((tmp_path / HOLDER).read_text())["pid"] == other.pid
    with RunLock(tmp_path):
        assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()
    assert not (tmp_path / HOLDER).exists()


def test_two_in_one_process_are_two(tmp_path: Path) -> None:
    with RunLock(tmp_path), pytest.raises(RunLockedError, match=f"process {os.getpid()}"):
        RunLock(tmp_path).__enter__()
    with RunLock(tmp_path):
        pass


def test_another_machines_is_left_alone(tmp_path: Path) -> None:
    holder = {"pid": 1, "host": "elsewhere", "started": "2026-11-21T08:00:00+00:00"}
    (tmp_path / HOLDER).write_text(json.dumps(holder))
    with pytest.raises(
        RunLockedError, match=r"process 1 on elsewhere since .*delete .*\.lock\.json"
    ):
        RunLock(tmp_path).__enter__()
    (tmp_path / HOLDER).unlink()
    with RunLock(tmp_path):
        pass


def test_a_holder_that_was_cut_off_is_no_holder(tmp_path: Path) -> None:
    (tmp_path / HOLDER).write_text('{"pid": 1')
    with RunLock(tmp_path):
        pass


def test_a_folder_that_cannot_be_locked_is_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"cannot write to .*set --out to a folder of yours"):
        RunLock(tmp_path / "file" / "run").__enter__()
