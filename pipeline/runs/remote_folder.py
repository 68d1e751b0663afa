"""A run whose folder is in an object store.

Objects cannot be appended to: run.yaml and manifest.jsonl are kept in a local folder, and put
whole, the manifest every few seconds and at the end. The store's are the ones that count: a
picture whose line was not put yet is made again. Files of shots go straight to the store. Knows
no models, no terminal.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..reports.html import MOST, render
from . import folder as run_folder
from . import run_yaml
from .folder import NAME, RunFolder
from .lock import HOLDER
from .object_store import ObjectStore, ObjectStoreError, read
from .object_store_lock import BEAT, ObjectStoreLock
from .run_yaml import WriteError

EVERY = 5.0
"""Seconds between two puts of the manifest, at least."""
_SHARE = 20
"""A put takes at most one part in so many of the time: long manifests are put less often."""
WRITERS = 8
"""Threads that write pictures: a store answers slowly, but many at once."""


class RemoteRunFolder(RunFolder):
    """As RunFolder; `path` is the local folder. `safe`: how many pictures' lines the store has."""

    def __init__(
        self, path: Path, *, into: ObjectStore, lock: ObjectStoreLock, **parts: Any
    ) -> None:
        self._store, self.lock = into, lock
        self._wait, self._put_at, self._put_lines = EVERY, time.monotonic(), -1
        for name in (run_yaml.NAME, NAME):
            into.fetch([name], path)
        super().__init__(path, into=into, **parts)
        self._put_lines = len(self.done)

    @property
    def safe(self) -> int:
        return self._put_lines

    def _keep_record(self) -> None:
        super()._keep_record()
        self._store.put_file(run_yaml.NAME, self.path / run_yaml.NAME)

    def append(self, line: dict[str, Any]) -> dict[str, Any]:
        super().append(line)
        if time.monotonic() - self._put_at >= self._wait:
            self.save()
        return line

    def forget(self, ids: Collection[str]) -> None:
        if set(ids) & set(self.done):
            super().forget(ids)
            self._put_lines = -1
            self.save()

    def save(self) -> None:
        count = len(self.done)
        if count == self._put_lines or not (self.path / NAME).is_file():
            return
        self._check()
        begun = time.monotonic()
        self._store.put_file(NAME, self.path / NAME)
        self._put_at = time.monotonic()
        self._wait = max(EVERY, _SHARE * (self._put_at - begun))
        self._put_lines = count

    def abandon(self) -> None:
        super().abandon()
        with contextlib.suppress(ObjectStoreError):
            self.save()
        self.lock.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def _check(self) -> None:
        super()._check()
        if self.lock.lost:
            raise WriteError(
                f"cannot write to {self.place}: the folder was removed, or taken over by another "
                "process, in mid-run"
            )

    def report(self) -> str:
        """Write report.html, from the pictures in the store; returns its URL."""
        names: list[str] = []
        for number, line in enumerate(run_folder.read_lines(self.path)):
            if number == MOST:
                break
            names += [line["files"][kind] or "" for kind in ("source", "mask", "result")]
        with tempfile.TemporaryDirectory(prefix="visuals-report-") as given:
            folder = Path(given)
            self._store.fetch([name for name in names if name], folder)
            page = render(folder, run_folder.read_lines(self.path), title=self._store.name)
            self._store.put("report.html", page.encode(errors="replace"))
        return f"{self.place}/report.html"


@contextlib.contextmanager
def opened(
    store: ObjectStore, parts: Mapping[str, Any], beat: float = BEAT
) -> Iterator[RemoteRunFolder]:
    """The run in the store's folder, new or gone on with, locked against a second writer (see
    StoreLock).

    At the end what was done is put, whatever ended it. Raises RunFolderError, StoreError.
    """
    made = tempfile.TemporaryDirectory(prefix="visuals-run-")
    with made as local, ObjectStoreLock(store, beat=beat) as lock:
        folder = RemoteRunFolder(Path(local), into=store, lock=lock, **parts)
        try:
            yield folder
        except BaseException:
            with contextlib.suppress(ObjectStoreError, OSError):
                folder.save()
            raise
        folder.save()


@contextlib.contextmanager
def fetched(url: str) -> Iterator[Path]:
    """A finished run of a store, copied to a local folder of the same name for the time being.

    Raises RunFolderError where there is no run.
    """
    store = ObjectStore(url)
    if not read(store):
        raise run_yaml.RunFolderError(f"{url} is no run folder: expected {run_yaml.NAME} in it")
    with tempfile.TemporaryDirectory(prefix="visuals-run-") as local:
        folder = Path(local) / store.name
        folder.mkdir()
        store.fetch([name for name in store.names() if not name.startswith(HOLDER[:5])], folder)
        yield folder
