"""How long the two things take that a newcomer does first: the help, and four pictures."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any


def measure_help() -> tuple[dict[str, float], dict[str, Any]]:
    """`visuals --help`, five times, in processes of their own."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "visuals", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return {"help_seconds": statistics.median(times)}, {"times": times}


def measure_run(preset: str) -> tuple[dict[str, float], dict[str, Any]]:
    """`visuals run --class sneaker --count 4`: seconds and largest resident memory."""
    import resource

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "visuals", "run", "--class", "sneaker", "--count", "4"),
                *("--preset", preset, "--out", f"{folder}/run", "--json"),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - start
    kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if sys.platform == "darwin":
        kib //= 1024
    return {"run_seconds": seconds, "run_gib": kib / 2**20}, {"summary": json.loads(done.stdout)}
