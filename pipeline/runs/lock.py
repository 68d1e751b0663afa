"""One writer a run folder: a lock that ends with its process, and says who holds it.

The lock itself is the system's (flock), so that a killed process leaves none behind; beside it
stands who took it, for the message, and for disks that other machines share. Knows no runs.
"""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from ..images import read as image_reader
from .run_yaml import RunFolderError

LOCK, HOLDER = ".lock", ".lock.json"


class RunLockedError(RunFolderError):
    """A run folder that another process writes to; the message says which."""


class RunLock:
    """The right to write to `folder`, which must be there: `with RunLock(folder): …`.

    Raises RunLockedError while another process holds the lock. The lock of a dead process of
    this machine is taken over; one of another machine must be released there.
    """

    def __init__(self, folder: str | Path) -> None:
        from filelock import FileLock

        self.folder = Path(folder)
        self._lock = FileLock(self.folder / LOCK)

    def __enter__(self) -> RunLock:
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunLockedError(
                f"{self.folder} is being written to by {said(self._holder())}; "
                "wait until it ends, or set --out to another folder"
            ) from None
        holder = self._holder()
        if holder.get("host", socket.gethostname()) != socket.gethostname():
            self._lock.release()
            raise RunLockedError(
                f"{self.folder} is held by {said(holder)}, which this machine cannot look for; "
                f"where it has ended, delete {self.folder / HOLDER}"
            )
        mine = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        try:
            image_reader.write(self.folder / HOLDER, json.dumps(mine).encode())
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            (self.folder / HOLDER).unlink(missing_ok=True)
        except OSError:
            pass  # a disk that became read-only: the next one takes it over
        self._lock.release()

    def _holder(self) -> dict[str, Any]:
        try:
            holder = json.loads((self.folder / HOLDER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return holder if isinstance(holder, dict) else {}


def said(holder: dict[str, Any]) -> str:
    """Who holds a lock, for a message."""
    if not holder:
        return "another process"
    return "process {pid} on {host} since {started}".format(
        **{"pid": "?", "host": "?", "started": "?"} | holder
    )
