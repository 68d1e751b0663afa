"""`visuals ui` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def studio(place: Path, cache: Path, port: int = 0) -> Iterator[Any]:
    """`visuals ui`, started in the folder `place` as a user would."""
    process = subprocess.Popen(
        [sys.executable, "-m", "visuals", "ui", "--no-browser", "--port", str(port)],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=(place / "stderr.txt").open("w"),
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "HOME": str(place),
            "XDG_CACHE_HOME": str(cache),
        },
    )
    yield process
    process.send_signal(signal.SIGINT)
    process.wait(60)


def address(process: Any, place: Path) -> str:
    """The address that a studio tells."""
    line = process.stdout.readline()
    assert line.startswith("studio"), (place / "stderr.txt").read_text()
    return str(line.split()[1])
