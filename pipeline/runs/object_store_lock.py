"""One writer a run folder in an object store: an object that says who, and one that they live.

Such a store has no locks. The lock is an object that only one can create and nobody writes again:
a writer that put it anew could bring back one that was just taken over. Signs of life are puts of
another object; its time of change, by the store's clock, tells a writer that lives from one that
was killed. Knows no runs.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import socket
import threading
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

from .lock import HOLDER, RunLockedError, said
from .object_store import ObjectStore, ObjectStoreError

BEAT = 20.0
"""Seconds between two signs of life."""
STALE = 90.0
"""So many seconds without one, and the writer is taken for dead."""
_LAST = 5.0
"""Seconds that a sign of life on its way is waited for at the end."""
_SIGN = ".lock.{}"
"""The name of the object that a writer puts while it lives, by its token."""


class ObjectStoreLock:
    """The right to write to a store's folder: `with StoreLock(store) as lock: …`.

    Raises RunLockedError where another process has it: one of this machine while it lives, another
    machine's until `stale` seconds after its last sign of life. `lost` says, later, that the
    folder was taken over or removed.
    """

    def __init__(self, store: ObjectStore, *, beat: float = BEAT, stale: float = STALE) -> None:
        self.store, self.lost = store, False
        self._beat, self._stale = beat, stale
        token = secrets.token_hex(8)
        self._sign = _SIGN.format(token)
        self._mine = json.dumps(
            {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "machine": _machine(),
                "token": token,
            }
        ).encode()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="visuals-lock", daemon=True)

    @property
    def holder(self) -> str:
        """What the lock's object says while it is ours."""
        return self._mine.decode()

    def __enter__(self) -> ObjectStoreLock:
        for _ in range(3):  # others may come and go at the same moment
            theirs = self.store.get(HOLDER)
            if theirs is None and self.store.create(HOLDER, self._mine):
                if self.store.get(HOLDER) != self._mine:
                    continue
                self._thread.start()
                return self
            if theirs is not None:
                self._refuse_if_alive(theirs)
                if self.store.get(HOLDER) == theirs:  # else somebody was quicker
                    self.store.remove(HOLDER)
                    self.store.remove(_sign(theirs))
        raise RunLockedError(f"{self.store} is being opened by others; try once more")

    def _refuse_if_alive(self, theirs: bytes) -> None:
        holder = _read(theirs)
        if holder.get("machine") == _machine() != "" and not _lives(holder.get("pid")):
            return
        age = self._age(_sign(theirs))
        if age < self._stale:
            raise RunLockedError(
                f"{self.store} is being written to by {said(holder)}, which gave a sign of life "
                f"{age:.0f} s ago; wait until it ends (where it was killed, "
                f"{self._stale - age:.0f} s), or set --out to another folder"
            )

    def _age(self, sign: str) -> float:
        """Seconds since the last sign of life, by the store's own clock; without end where the
        lock is gone meanwhile."""
        probe = _SIGN.format(secrets.token_hex(8))
        self.store.put(probe, b"")
        try:
            now = self.store.modified(probe)
            signs = [self.store.modified(name) for name in (HOLDER, sign)]
        finally:
            self.store.remove(probe)
        if now is None or signs[0] is None:
            return math.inf
        return max(0.0, (now - max(when for when in signs if when)).total_seconds())

    def _live(self) -> None:
        while not self._ended.wait(self._beat):
            with contextlib.suppress(ObjectStoreError):  # what is written next says it
                if self.store.get(HOLDER) != self._mine:
                    self.lost = True
                    return
                self.store.put(self._sign, b"")

    def release(self) -> None:
        """Let others in. A store that does not answer lets them in when the lock is stale."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join(_LAST)  # a sign on its way would stay
        with contextlib.suppress(ObjectStoreError):
            self.store.remove(self._sign)
            if self.store.get(HOLDER) == self._mine:
                self.store.remove(HOLDER)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _sign(holder: bytes) -> str:
    """The name of the signs of life of the writer of a lock's object."""
    token = str(_read(holder).get("token", ""))
    return _SIGN.format(token if token.isalnum() else "unknown")


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
