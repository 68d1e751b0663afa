"""The lock of a run folder on a disk: one writing process at a time.

The lock is the system's (flock), so that a killed process leaves none behind. A file beside it
names its holder, for the error message and for disks that machines share.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ...checkpoints import atomic_files
from ...configs.errors import RunFolderError, writable
from ...configs.text_files import parse_json
from .inside_path import inside

LOCK, HOLDER = ".lock", ".lock.json"
_MOST_BYTES = 1 << 16
"""Bytes of a holder's file that are read."""


class RunLockedError(RunFolderError):
    """Another process writes to the run folder; the message names it."""


class RunLock:
    """The lock on `folder`, which must exist: `with RunLock(folder): …`.

    The lock of a dead process of this machine is taken over; one of another machine must be
    released there.

    Raises:
        RunLockedError: another process holds the lock.
        WriteError: the folder cannot be written to.
    """

    def __init__(self, folder: str | Path) -> None:
        from filelock import FileLock

        self.folder = Path(folder)
        self._lock = FileLock(inside(self.folder, LOCK))
        self._file = inside(self.folder, HOLDER)

    def __enter__(self) -> RunLock:
        from filelock import Timeout

        with writable(self.folder):
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise RunLockedError(
                    f"{self.folder} is being written to by {describe(self._holder())}; "
                    "wait until it ends, or set --out to another folder"
                ) from None
        holder = self._holder()
        if holder.get("host", socket.gethostname()) != socket.gethostname():
            self._lock.release()
            raise RunLockedError(
                f"{self.folder} is held by {describe(holder)}, which this machine cannot look for; "
                f"where it has ended, delete {self._file}"
            )
        try:
            with writable(self.folder):
                atomic_files.write(self._file, json.dumps(this_process()).encode())
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # read-only by now: the next process takes it over
            self._file.unlink(missing_ok=True)
        self._lock.release()

    def _holder(self) -> dict[str, Any]:
        try:
            with self._file.open("rb") as file:
                return parse_holder(file.read(_MOST_BYTES))
        except OSError:
            return {}


def this_process() -> dict[str, Any]:
    """Return what a lock says of its holder."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def parse_holder(data: bytes) -> dict[str, Any]:
    """Return what a lock file says of its holder; {} where it cannot be read."""
    try:
        holder = parse_json(data)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def describe(holder: dict[str, Any]) -> str:
    """Return the name of a lock's holder for a message."""
    if not holder:
        return "another process"
    pid, host, started = (holder.get(key, "?") for key in ("pid", "host", "started"))
    return f"process {pid} on {host} since {started}"
