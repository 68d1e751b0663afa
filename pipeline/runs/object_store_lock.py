"""The lock of a run folder in an object store: one writing process at a time.

Stores have no locks. The lock is an object that only one process can create, and that nobody
overwrites: a late write could bring back a lock that was just taken over. Signs of life are
writes of a second object; its time of change, by the store's clock, tells whether the holder
still runs.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import threading
from typing import Any

from .lock import HOLDER, RunLockedError, describe, parse_holder, this_process
from .object_store import ObjectStore, ObjectStoreError

BEAT = 20.0
"""Seconds between two signs of life."""
STALE = 90.0
"""Seconds without a sign of life after which the holder is taken for dead."""
_LAST = 5.0
"""Seconds to wait at the end for a sign of life that is being written."""
_SIGN = ".lock.{}"
"""The name of the object that a holder writes as its sign of life, by its token."""


class ObjectStoreLock:
    """The lock on a store's folder: `with ObjectStoreLock(store) as lock: …`.

    A process of this machine holds it while it runs; one of another machine until `stale` seconds
    after its last sign of life. `lost` becomes true when the folder is taken over or removed.

    Args:
        store: the folder in the store.
        beat: seconds between two signs of life.
        stale: seconds without one after which the lock is taken over.

    Raises:
        RunLockedError: another process holds the lock.
    """

    def __init__(self, store: ObjectStore, *, beat: float = BEAT, stale: float = STALE) -> None:
        self.store, self.lost = store, False
        self._beat, self._stale = beat, stale
        token = secrets.token_hex(8)
        self._sign = _SIGN.format(token)
        holder = {**this_process(), "machine": _machine(), "token": token}
        self._mine = json.dumps(holder).encode()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="visuals-lock", daemon=True)

    @property
    def holder(self) -> str:
        """The contents of the lock object while this process holds it."""
        return self._mine.decode()

    def __enter__(self) -> ObjectStoreLock:
        for _ in range(3):  # other processes may take and release it at the same moment
            current = self.store.get(HOLDER)
            if current is None and self.store.create(HOLDER, self._mine):
                if self.store.get(HOLDER) != self._mine:
                    continue
                self._thread.start()
                return self
            if current is not None:
                self._refuse_if_alive(current)
                if self.store.get(HOLDER) == current:  # else another process was quicker
                    self.store.remove(HOLDER)
                    self.store.remove(_sign(current))
        raise RunLockedError(f"{self.store} is being opened by other processes; try again")

    def _refuse_if_alive(self, current: bytes) -> None:
        holder = parse_holder(current)
        if holder.get("machine") == _machine() != "" and not _lives(holder.get("pid")):
            return
        age = self._age(_sign(current))
        if age < self._stale:
            raise RunLockedError(
                f"{self.store} is being written to by {describe(holder)}, "
                f"which gave a sign of life {age:.0f} s ago; wait until it ends (where it was "
                f"killed, {self._stale - age:.0f} s), or set --out to another folder"
            )

    def _age(self, sign: str) -> float:
        """Return the seconds since the last sign of life, by the store's clock; infinity where
        the lock is gone."""
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
            with contextlib.suppress(ObjectStoreError):  # the next write reports it
                if self.store.get(HOLDER) != self._mine:
                    self.lost = True
                    return
                self.store.put(self._sign, b"")

    def release(self) -> None:
        """Release the lock. Where the store does not answer, it ends by becoming stale."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join(_LAST)  # a sign of life written later would stay
        with contextlib.suppress(ObjectStoreError):
            self.store.remove(self._sign)
            if self.store.get(HOLDER) == self._mine:
                self.store.remove(HOLDER)

    def __exit__(self, *_: object) -> None:
        self.release()


def _sign(holder: bytes) -> str:
    """Return the name of the sign of life that belongs to a lock object."""
    token = str(parse_holder(holder).get("token", ""))
    return _SIGN.format(token if token.isalnum() else "unknown")


def _machine() -> str:
    """Return an id of this boot and process namespace; "" where the system has none.

    Host names do not do: containers share them.
    """
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
