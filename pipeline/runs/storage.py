"""Storages of a run folder: a local disk, or a folder in an object store.

Objects cannot be appended to. So a run in an object store has a local working folder with
run.yaml and manifest.jsonl, which are uploaded whole: the manifest every few seconds and at the
end. A picture whose line was not uploaded is made again. Files of shots go straight to the store.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from ...configs.errors import WriteError
from . import run_yaml
from .lock import HOLDER
from .manifest import NAME, ManifestIndex
from .object_store import ObjectStore, ObjectStoreError
from .object_store_lock import ObjectStoreLock

UPLOAD_INTERVAL = 5.0
"""Least seconds between two uploads of the manifest."""
_UPLOAD_SHARE = 20
"""Uploads take at most one part in so many of the time: long manifests are uploaded less often."""


class Storage:
    """Where a run is kept, beyond the local folder that holds its run.yaml and manifest.

    This base is a folder on a disk, where what is written is kept.

    Args:
        place: where the files of shots go.
    """

    def __init__(self, place: Path | ObjectStore) -> None:
        self.place = place

    def save_record(self) -> None:
        """Keep run.yaml, which was just written to the local folder."""

    def save(self, count: int, *, now: bool = True) -> None:
        """Keep the manifest, which has `count` shots; without `now`, only where it is due."""

    def invalidate(self) -> None:
        """Note that lines were removed from the manifest, so that the next `save` keeps it."""

    def saved(self, count: int) -> int:
        """How many of the manifest's `count` shots are kept, whatever happens now."""
        return count

    def check(self) -> None:
        """Raise WriteError where another process has taken over."""

    def close(self, count: int) -> None:
        """Keep the manifest's `count` shots and release the lock; the process ends at once."""
        if isinstance(self.place, Path):
            (self.place / HOLDER).unlink(missing_ok=True)


class RemoteStorage(Storage):
    """A folder in an object store; run.yaml and the manifest it has are copied to `folder`.

    Args:
        place: the folder in the store.
        lock: the lock on it, which is held.
        folder: the local working folder.
    """

    def __init__(self, place: ObjectStore, lock: ObjectStoreLock, folder: Path) -> None:
        super().__init__(place)
        self.store, self.lock, self._folder = place, lock, folder
        place.fetch([run_yaml.NAME, NAME], folder)
        self._saved = len(ManifestIndex(folder / NAME))
        self._saved_at, self._interval = time.monotonic(), UPLOAD_INTERVAL

    def save_record(self) -> None:
        self.store.put_file(run_yaml.NAME, self._folder / run_yaml.NAME)

    def save(self, count: int, *, now: bool = True) -> None:
        due = now or time.monotonic() - self._saved_at >= self._interval
        if not due or count == self._saved or not (self._folder / NAME).is_file():
            return
        self.check()
        begun = time.monotonic()
        self.store.put_file(NAME, self._folder / NAME)
        self._saved_at = time.monotonic()
        self._interval = max(UPLOAD_INTERVAL, _UPLOAD_SHARE * (self._saved_at - begun))
        self._saved = count

    def invalidate(self) -> None:
        self._saved = -1

    def saved(self, count: int) -> int:
        return self._saved

    def check(self) -> None:
        if self.lock.lost:
            raise WriteError(
                f"cannot write to {self.place}: the folder was removed, or taken over by another "
                "process, in mid-run"
            )

    def close(self, count: int) -> None:
        with contextlib.suppress(ObjectStoreError):
            self.save(count)
        self.lock.release()
        shutil.rmtree(self._folder, ignore_errors=True)
