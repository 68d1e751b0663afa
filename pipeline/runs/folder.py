"""The run folder: run.yaml, manifest.jsonl and the files of the shots.

A shot is done when its line is in the manifest. One process at a time may write.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checkpoints import atomic_files
from ...configs.errors import OtherSettingsError as OtherSettingsError
from ...configs.errors import RunFolderError as RunFolderError
from ...configs.errors import VisualsError, one_line, writable
from ...configs.errors import WriteError as WriteError
from ...configs.outputs import check_parents
from ..images.write import Format
from . import jsonl, run_yaml
from .inside_path import inside
from .jsonl import to_json as to_json
from .manifest import NAME as NAME
from .manifest import ManifestIndex as ManifestIndex
from .manifest import ManifestRecord
from .manifest import plain as plain
from .manifest import read_records as read_records
from .object_store import ObjectStore, holds
from .shot_files import FOLDERS as SHOT_FOLDERS
from .shot_files import ShotFiles
from .sorted_copies import FOLDERS as COPIES
from .storage import Storage

if TYPE_CHECKING:
    from ...stages.shot import Shot

FOLDERS = (*SHOT_FOLDERS, *COPIES)
"""Folders of a run."""


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the manifest's lines in order, as plain values; see `read_records`."""
    for _, line in jsonl.each(inside(folder, NAME)):
        yield line


class RunFolder:
    """A run's files. `record(shot)` is the sink of `run_shots`.

    A folder that holds a run is resumed: `done` has the records of its finished shots.

    Args:
        path: the folder; for a run in an object store, a local working folder.
        request: what was asked for; it must equal the request of the run in the folder.
        settings: the settings as plain values, which must equal those of the run in the folder.
        checkpoints: a hash or an address of each model, by name.
        licences: the licence of each model, by name.
        output: format of the pictures that are kept.
        hashes: short model hashes for the infotext of pictures, as A1111 writes them.
        storage: where the run is kept in the end; by default on the disk, in `path`.

    Raises:
        OtherSettingsError: the folder holds a run with other settings.
        WriteError: the folder cannot be written to.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        request: Mapping[str, Any],
        settings: Mapping[str, Any],
        checkpoints: Mapping[str, str] | None = None,
        licences: Mapping[str, str] | None = None,
        output: Format | None = None,
        hashes: Mapping[str, str] | None = None,
        storage: Storage | None = None,
    ) -> None:
        self.path = Path(path)
        self.storage = storage or Storage(self.path)
        self.output = output or Format()
        record = plain({"request": request, "settings": settings, "checkpoints": checkpoints or {}})
        record["licences"] = dict(licences or {})
        self.files = ShotFiles(
            self.storage.place,
            settings=record["settings"],
            record={**record, "versions": run_yaml.versions()},
            output=self.output,
            hashes=hashes,
        )
        self._lock = threading.Lock()
        with writable(self.path):
            make(self.path)
            self._start(record)

    def _start(self, record: dict[str, Any]) -> None:
        old = run_yaml.read(self.path)
        self.done = ManifestIndex(self.path / NAME)
        changes = run_yaml.differences(old, record) if old else []
        if changes and self.done:
            raise OtherSettingsError(
                f"{self.place} holds a run with other settings ({'; '.join(changes)}); "
                "repeat that run's options to go on with it, add --fork to begin a folder "
                "beside it, or set --out to a new one"
            )
        if self.done and run_yaml.is_edited(old):
            raise OtherSettingsError(
                f"{self.place}/{run_yaml.NAME} was changed since its pictures were made: expected "
                "the values that they were made with; put these back, or repeat the run's command "
                "with --out and a new folder"
            )
        now = run_yaml.identity(record)
        identity = (not changes and old.get("identity")) or now
        if self.done.runs - {identity, None if old else identity}:
            raise OtherSettingsError(
                f"{self.place}/{NAME} holds pictures of another run than its {run_yaml.NAME}, or "
                f"than this one where that is gone; put its own {run_yaml.NAME} back, or set "
                "--out to a new folder"
            )
        kept: dict[str, Any] = {} if changes else {"batch_sizes": old.get("batch_sizes") or {}}
        kept["identity"], kept["digest"] = identity, now
        kept["began_in"] = old.get("began_in") or os.getcwd()
        self._record = record | kept | {"versions": run_yaml.versions()}
        jsonl.drop_torn_line(self.path / NAME, begins=b'{"id": "')
        if self._record != old:
            self._keep_record()

    def _keep_record(self) -> None:
        run_yaml.write(self.path, self._record)
        self.storage.save_record()

    @property
    def place(self) -> Path | ObjectStore:
        """Where the files of the shots go: `path`, or a folder in an object store."""
        return self.storage.place

    @property
    def saved(self) -> int:
        """How many finished shots are kept, whatever happens now."""
        return self.storage.saved(len(self.done))

    @property
    def exists(self) -> bool:
        """Whether the folder still exists."""
        return (self.path / run_yaml.NAME).is_file()

    @property
    def checkpoints(self) -> dict[str, str]:
        """A hash or an address of each model, by name."""
        return dict(self._record.get("checkpoints") or {})

    @property
    def batch_sizes(self) -> dict[str, int]:
        """Batch sizes that fitted into memory, of stages whose own did not."""
        return dict(self._record.get("batch_sizes") or {})

    def note_batch_size(self, stage: str, size: int) -> None:
        """Keep in run.yaml the batch size that fitted into memory."""
        self._record["batch_sizes"] = {**self.batch_sizes, stage: size}
        with writing(self.path):
            self._keep_record()

    def forget_batch_sizes(self) -> None:
        """Let every stage begin with the batch size of the settings again."""
        if self._record.pop("batch_sizes", None):
            with writing(self.path):
                self._keep_record()

    def record(self, shot: Shot) -> ManifestRecord:
        """Write the shot's files, then its line."""
        return self.append(self.write(shot))

    def write(self, shot: Shot) -> ManifestRecord:
        """Write the shot's files only; threads may do so at once. Raises WriteError."""
        with writing(self.path):
            self._check()
            return self.files.write(shot)

    def append(self, record: ManifestRecord) -> ManifestRecord:
        """Append a line, synced, whole or not at all. Raises WriteError."""
        record = record.model_copy(update={"run": self._record["identity"]})
        line = record.to_json().encode() + b"\n"
        with self._lock, writing(self.path):
            self._check()
            offset = jsonl.append(inside(self.path, NAME), line)
            self.done.add(record.id, offset)
        self.storage.save(len(self.done), now=False)
        return record

    def forget(self, ids: Collection[str]) -> None:
        """Remove the lines of `ids`, so that their shots are made again."""
        removed = set(ids) & set(self.done)
        if not removed:
            return
        lines = (
            to_json(line) + "\n" for line in read_lines(self.path) if line["id"] not in removed
        )
        with writing(self.path):
            atomic_files.write(self.path / NAME, "".join(lines).encode())
        self.done = ManifestIndex(self.path / NAME)
        self.storage.invalidate()
        self.save()

    def save(self) -> None:
        """Upload finished shots where the run is kept elsewhere. Raises WriteError."""
        self.storage.save(len(self.done))

    def abandon(self) -> None:
        """Keep what is done and let go of the lock, for a process that ends at once."""
        self._lock.acquire(timeout=2)  # a line being written becomes whole; no more follow
        self.storage.close(len(self.done))

    def _check(self) -> None:
        if not self.exists:
            raise FileNotFoundError("the folder was removed or replaced in mid-run")
        self.storage.check()


def sweep(path: Path) -> None:
    """Remove files left half written by a process that was killed. The caller holds the lock.

    Only the run's files and folders are searched, for names that this program gives: the folder
    may hold files of others.

    Raises:
        WriteError: the disk refuses.
    """
    with writable(path):
        folders = [path / name for name in FOLDERS if not (path / name).is_symlink()]
        files = [
            Path(top, name) for one in folders for top, _, names in os.walk(one) for name in names
        ]
        for file in (*path.iterdir(), *files):
            if file.name.startswith(".") and file.name.endswith(atomic_files.SUFFIX):
                file.unlink(missing_ok=True)


def make(path: Path) -> None:
    """Make the folder of a run where there is none.

    Raises:
        RunFolderError: the path is a file, or a folder that is no run's; see `check_place`.
        WriteError: the disk refuses.
    """
    check_place(path)
    with writable(path):
        path.mkdir(parents=True, exist_ok=True)


_OF_WINDOWS = ("thumbs.db", "desktop.ini")


def check_place(place: Path | ObjectStore) -> None:
    """Check that a run may be written to a place: there is nothing, an empty folder, or a run.

    Hidden files and those of Windows' Explorer count as nothing. What a run.yaml holds is checked
    when it is read.

    Raises:
        RunFolderError: it is a file, a folder with other files, or a run with links in it.
    """
    with writable(place):
        if isinstance(place, Path):
            if not os.path.lexists(place):
                check_parents(place, RunFolderError)
            for name in (run_yaml.NAME, NAME, *FOLDERS):
                inside(place, name)
        if holds(place)(run_yaml.NAME) or _has_lines(place):
            return
        names = (name for name in _names(place) if name.lower() not in _OF_WINDOWS)
        visible = [name for name in names if not name.startswith(".")]
    if visible:
        raise RunFolderError(
            f"{place} holds {visible[0]!r} and is no run folder: expected a run folder, or a new "
            "or empty one; set --out to such a folder"
        )


def _names(place: Path | ObjectStore) -> list[str]:
    if isinstance(place, ObjectStore):
        return place.names()
    try:
        return sorted(os.listdir(place))
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise RunFolderError(
            f"{place} is a file: expected a folder for the run; set --out"
        ) from None


def _has_lines(place: Path | ObjectStore) -> bool:
    with contextlib.suppress(RunFolderError):  # of another program, where there is no run.yaml
        return next(read_records(place), None) is not None
    return False


@contextlib.contextmanager
def writing(path: Path | ObjectStore) -> Iterator[None]:
    """Turn an OSError of the block into a WriteError that names `path`."""
    try:
        yield
    except VisualsError:
        raise
    except OSError as error:
        why = error.strerror or one_line(error)
        raise WriteError(f"cannot write to {path}: {why}") from error
