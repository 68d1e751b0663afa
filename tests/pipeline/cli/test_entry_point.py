"""The command as a process: how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import atexit, sys, threading, time
import torch
from visuals.pipeline.cli import entry_point as program
class Slow:  # what Python would take apart at its end
    def __del__(self):
        print("taken apart")
slow = Slow()
def last():
    time.sleep(0.3)
    atexit.register(print, "at its end")
    print("a thread's last word")
threading.Thread(target=last).start()
sys.argv = ["visuals", *sys.argv[1:]]
program.program()
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["config", "show", "--preset", "mini"], 0), (["config", "sho"], 2), (["prompt", "a mug"], 0)],
)
def test_it_ends_with_its_code_after_all_that_was_to_be_done(
    arguments: list[str], code: int, own_home: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    *said, last = done.stdout.splitlines()
    assert last == "at its end" and "a thread's last word" in said
    assert (len(said) > 2) == (code == 0), "all that was said is there"
    assert "taken apart" not in said


def test_an_error_of_our_own_keeps_its_traceback(own_home: Path) -> None:
    broken = PROGRAM.replace("program.program()", "program.main = None; program.program()")
    done = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True)
    assert done.returncode == 1 and "TypeError" in done.stderr
    assert "taken apart" in done.stdout, "its end is Python's own"


def test_a_reader_that_is_gone_stops_nothing(own_home: Path) -> None:
    script = own_home / "program.py"
    script.write_text(PROGRAM)
    command = f"{sys.executable} {script} config show --preset mini | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("own", [None, "ACTIVE"])
def test_threads_wait_asleep_unless_the_user_chose(own: str | None) -> None:
    code = (
        "import atexit, os, sys; from visuals.pipeline.cli import entry_point as program\n"
        "atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY']))\n"
        "sys.argv = ['visuals', '--version']; program.program()"
    )
    given = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environ = given if own is None else {**given, "OMP_WAIT_POLICY": own}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == (own or "PASSIVE"), done.stderr
