"""One writer a run folder in an object store: an object that says who, put again while they write.

Such a store has no locks. The lock is an object that only one can create; its time of change, by
the store's clock, tells a writer that lives from one that was killed. Knows no runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

from .lock import HOLDER, Locked, said
from .store import Store, StoreError

BEAT = 20.0
"""Seconds between two signs of life."""
STALE = 90.0
"""So many seconds without one, and the writer is taken for dead."""


class StoreLock:
    """The right to write to a store's folder: `with StoreLock(store) as lock: …`.

    Raises Locked where another process has it: one of this machine while it lives, another
    machine's until `stale` seconds after its last sign of life. `lost` says, later, that the
    folder was taken over or removed.
    """

    def __init__(self, store: Store, *, beat: float = BEAT, stale: float = STALE) -> None:
        self.store, self.lost = store, False
        self._beat, self._stale = beat, stale
        self._mine = json.dumps(
            {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "machine": _machine(),
                "token": secrets.token_hex(8),
            }
        ).encode()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="visuals-lock", daemon=True)

    @property
    def holder(self) -> str:
        """What the lock's object says while it is ours."""
        return self._mine.decode()

    def __enter__(self) -> StoreLock:
        for _ in range(3):  # others may come and go at the same moment
            theirs = self.store.get(HOLDER)
            if theirs is None and self.store.create(HOLDER, self._mine):
                if self.store.get(HOLDER) != self._mine:
                    continue
                self._thread.start()
                return self
            if theirs is not None:
                self._refuse_if_alive(theirs)
                self.store.remove(HOLDER)
        raise Locked(f"{self.store} is being opened by others; try once more")

    def _refuse_if_alive(self, theirs: bytes) -> None:
        holder = _read(theirs)
        if holder.get("machine") == _machine() != "" and not _lives(holder.get("pid")):
            return
        age = self._age()
        if age < self._stale:
            raise Locked(
                f"{self.store} is being written to by {said(holder)}, which gave a sign of life "
                f"{age:.0f} s ago; wait until it ends (where it was killed, "
                f"{self._stale - age:.0f} s), or set --out to another folder"
            )

    def _age(self) -> float:
        """Seconds since the lock's object was put, by the store's own clock."""
        probe = f".lock.{secrets.token_hex(8)}"
        self.store.put(probe, b"")
        try:
            passed = self.store.modified(probe) - self.store.modified(HOLDER)
        finally:
            self.store.remove(probe)
        return max(0.0, passed.total_seconds())

    def _live(self) -> None:
        while not self._ended.wait(self._beat):
            with contextlib.suppress(StoreError):  # what is written next says it
                if self.store.get(HOLDER) != self._mine:
                    self.lost = True
                    return
                self.store.put(HOLDER, self._mine)

    def release(self) -> None:
        """Let others in. A store that does not answer lets them in when the lock is stale."""
        if self._ended.is_set():
            return
        self._ended.set()
        with contextlib.suppress(StoreError):
            if self.store.get(HOLDER) == self._mine:
                self.store.remove(HOLDER)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _read(data: bytes) -> dict[str, Any]:
    try:
        holder = json.loads(data)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _machine() -> str:
    """What tells this machine, and on it this room of process numbers, from others; "" where
    that cannot be known: containers share names."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _lives(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, TypeError, ValueError, OverflowError):
        return True
    return True
