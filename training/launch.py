"""Starts one command as several processes of one training. Knows no models and no settings.

`accelerate launch --cpu --num_processes 2` starts one and tells it no number: its launcher of
several processes is for GPUs, on CPUs it takes mpirun (accelerate 1.x, commands/launch.py). The
number is read from its command line, and what torchrun sets is set here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

STOPPED, USAGE = 130, 2
"""What a training exits with that was asked to stop, as all are; that was asked for amiss."""


def launch(command: Sequence[str], count: int) -> int:
    """Run `count` of the command, wait for all; the exit code of the first that failed, or 0.

    The first process speaks; another only where it fails and the first does not. Ctrl-C and
    SIGTERM reach each of them, and it is waited until they end. Where one fails, the others,
    which would wait for it, are ended.
    """
    shared = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
    }
    # as torchrun does: else each takes every core
    shared.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    with contextlib.ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count)]
        running = [
            subprocess.Popen(
                list(command),
                env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.DEVNULL if rank else None,
                stderr=said[rank] if rank else None,
                start_new_session=True,  # the terminal's Ctrl-C comes once, from here
            )
            for rank in range(count)
        ]
        with _passed_on(running):
            first = _wait(running)
        if first is None:
            return 0
        code = running[first].returncode
        if first and running[0].returncode != USAGE:  # else the first has said the same
            said[first].seek(0)
            sys.stderr.write(said[first].read().decode(errors="replace"))
        return 128 - code if code < 0 else code


def _wait(running: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Until all have ended; the number of the first that failed."""
    first = None
    while first is None and any(process.poll() is None for process in running):
        time.sleep(0.1)
        first = _failed(running)
    if first is not None and running[first].returncode != STOPPED:
        _end(running)
    for process in running:
        process.wait()
    return _failed(running) if first is None else first


def _failed(running: Sequence[subprocess.Popen[bytes]]) -> int | None:
    return next((k for k, process in enumerate(running) if process.poll()), None)


def _end(running: Sequence[subprocess.Popen[bytes]], grace: float = 10.0) -> None:
    """Give the others a moment to end by themselves, then end them."""
    until = time.monotonic() + grace
    while time.monotonic() < until and any(p.poll() is None for p in running):
        time.sleep(0.1)
    for process in running:
        if process.poll() is None:
            process.kill()


@contextlib.contextmanager
def _passed_on(running: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM are handed to the processes."""

    def hand(number: int, frame: Any) -> None:
        for process in running:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, hand) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def asked_by_accelerate() -> int | None:
    """How many processes `accelerate launch` was asked for where it started this one alone, as it
    does on a CPU; 1 where it did not, None where neither its command line nor its file says."""
    set_by_it = "MASTER_ADDR" in os.environ and "ACCELERATE_MIXED_PRECISION" in os.environ
    if not set_by_it or "WORLD_SIZE" in os.environ:
        return 1
    import psutil

    try:
        parent = psutil.Process().parent()
        return _number_asked(parent.cmdline() if parent else [])
    except psutil.Error:  # gone, or another user's
        return None


def _number_asked(words: Sequence[str]) -> int | None:
    """Of `python …/accelerate launch --cpu --num_processes 2 …`; None for any other command."""
    own = next((k for k, w in enumerate(words[:3]) if Path(w).stem.startswith("accelerate")), None)
    if own is None:
        return None
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    given = list(words[own + 1 :])
    asked, _ = launch_command_parser().parse_known_args(given[given[:1] == ["launch"] :])
    if (asked.num_machines or 1) > 1:  # which machine this is, it does not tell
        return None
    if asked.num_processes is None:
        with contextlib.suppress(OSError, ValueError):
            asked.num_processes = load_config_from_file(asked.config_file).num_processes
    return asked.num_processes  # type: ignore[no-any-return]
