"""The run folder: files are the database.

`run.yaml` (see run_yaml), `manifest.jsonl` (a line per finished shot; see lines), and
the files of the shots (see shot_files). A shot is done when its line is there. One writer at a
time (see lock). Knows no models, no terminal.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.errors import one_line
from ..images import read as image_reader
from ..images.write import Format
from . import jsonl, run_yaml
from .jsonl import ManifestIndex as ManifestIndex
from .jsonl import to_json as to_json
from .lock import HOLDER
from .object_store import ObjectStore
from .run_yaml import OtherSettingsError as OtherSettingsError
from .run_yaml import RunFolderError as RunFolderError
from .run_yaml import WriteError as WriteError
from .shot_files import ShotFiles
from .shot_files import plain as plain

if TYPE_CHECKING:
    from ...stages.shot import Shot

NAME = "manifest.jsonl"


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """The manifest's lines in order; a last line that was cut off in writing is left out."""
    for _, line in jsonl.each(folder / NAME):
        yield line


class RunFolder:
    """A run's files. `record(shot)` is the sink of `run_shots`.

    Opening a folder that holds a run goes on with it: `done` has the shots whose lines are
    there. Its request and settings must be the same, else OtherSettingsError names what differs.
    `hashes`: A1111's, for the pictures (see `hashes.of`).
    """

    def __init__(
        self,
        path: str | Path,
        *,
        request: Mapping[str, Any],
        settings: Mapping[str, Any],
        checkpoints: Mapping[str, str] | None = None,
        output: Format | None = None,
        hashes: Mapping[str, str] | None = None,
        into: ObjectStore | None = None,
    ) -> None:
        """`into`: where the files of the shots go instead; see stored."""
        self.path = Path(path)
        self.output = output or Format()
        made = {"request": request, "checkpoints": checkpoints or {}}
        made["versions"] = run_yaml.versions()
        self._files = ShotFiles(
            into or self.path,
            settings=plain(settings),
            made=plain(made),
            output=self.output,
            hashes=hashes,
        )
        self._lock = threading.Lock()
        record = {"request": request, "settings": settings, "checkpoints": checkpoints or {}}
        try:
            make(self.path)
            self._start(plain(record))
            jsonl.cut_torn(self.path / NAME)
        except WriteError:
            raise
        except OSError as error:
            raise unwritable(self.path, error) from None
        self.done = ManifestIndex(self.path / NAME)

    def _start(self, record: dict[str, Any]) -> None:
        old = run_yaml.read(self.path)
        differ = run_yaml.differences(old, record) if old else []
        if differ and (self.path / NAME).is_file():
            raise OtherSettingsError(
                f"{self.place} holds a run with other settings ({'; '.join(differ)}); "
                "repeat that run's options to go on with it, add --fork to begin a folder "
                "beside it, or set --out to a new one"
            )
        kept: dict[str, Any] = {} if differ else {"batch_sizes": old.get("batch_sizes") or {}}
        kept["began_in"] = old.get("began_in") or os.getcwd()
        self._record = record | kept | {"versions": run_yaml.versions()}
        if self._record != old:
            self._keep_record()

    def _keep_record(self) -> None:
        run_yaml.write(self.path, self._record)

    @property
    def place(self) -> Path | ObjectStore:
        """Where the files of the shots go: `path`, or a folder in an object store."""
        return self._files.path

    @property
    def safe(self) -> int:
        """How many pictures stay done, whatever happens now."""
        return len(self.done)

    def report(self) -> str:
        """Write report.html into the folder; returns where it is."""
        from ..reports.html import write_report

        return str(write_report(self.path))

    def save(self) -> None:
        """Bring up to date what is kept elsewhere; raises WriteError. Here there is none."""

    @property
    def files(self) -> ShotFiles:
        """What writes the files of shots, as another process may do."""
        return self._files

    @property
    def checkpoints(self) -> dict[str, str]:
        """What each model is, by name: a hash of its weights, or where it comes from."""
        return dict(self._record.get("checkpoints") or {})

    @property
    def batch_sizes(self) -> dict[str, int]:
        """By stage, how many pictures at once fitted into memory, where it was too small."""
        return dict(self._record.get("batch_sizes") or {})

    def note_batch_size(self, stage: str, size: int) -> None:
        """Keep in run.yaml that `stage` takes `size` pictures at once."""
        self._record["batch_sizes"] = {**self.batch_sizes, stage: size}
        with writing(self.path):
            self._keep_record()

    def forget_batch_sizes(self) -> None:
        """Let every stage begin with the settings' batch size again."""
        if self._record.pop("batch_sizes", None):
            with writing(self.path):
                self._keep_record()

    def record(self, shot: Shot) -> dict[str, Any]:
        """Write the shot's files, then its line; returns the line."""
        return self.append(self.write(shot))

    def write(self, shot: Shot) -> dict[str, Any]:
        """Write the shot's files only; returns its line, for `append`. Threads may share it.

        Raises WriteError, as all that writes here.
        """
        with writing(self.path):
            self._check()
            return self._files.write(shot)

    def append(self, line: dict[str, Any]) -> dict[str, Any]:
        """Append a line, synced; where the disk takes only a part, none of it stays."""
        data = to_json(line).encode() + b"\n"
        with self._lock, writing(self.path):
            self._check()
            offset = jsonl.append(self.path / NAME, data)
            self.done.add(line["id"], offset)
        return line

    def forget(self, ids: Collection[str]) -> None:
        """Take the lines of `ids` out, so that their shots are made again."""
        gone = set(ids) & set(self.done)
        if not gone:
            return
        kept = (to_json(line) + "\n" for line in read_lines(self.path) if line["id"] not in gone)
        with writing(self.path):
            image_reader.write(self.path / NAME, "".join(kept).encode())
        self.done = ManifestIndex(self.path / NAME)

    def abandon(self) -> None:
        """For a process that ends at once: what is done is kept, and the lock is let go."""
        self._lock.acquire(timeout=2)  # a line that is being written becomes whole; no more come
        (self.path / HOLDER).unlink(missing_ok=True)

    @property
    def there(self) -> bool:
        """Whether the folder is still there."""
        return (self.path / run_yaml.NAME).is_file()

    def _check(self) -> None:
        if not self.there:
            raise FileNotFoundError("the folder was removed or replaced in mid-run")


def sweep(path: Path) -> None:
    """Remove the half-written files of a process that was killed; only for who holds the lock."""
    for left in path.rglob(".*.part"):
        left.unlink(missing_ok=True)


def make(path: Path) -> None:
    """The folder of a run, made where it is not there; raises RunFolderError, WriteError."""
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"{path} is a file: expected a folder for the run; set --out")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None


@contextlib.contextmanager
def writing(path: Path | ObjectStore) -> Iterator[None]:
    """What the disk refuses inside becomes a WriteError that names `path`."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        why = error.strerror or one_line(error)
        raise WriteError(f"cannot write to {path}: {why}") from error


def unwritable(path: Path, error: OSError) -> WriteError:
    """What to say of a folder that cannot be written to before anything is made."""
    why = error.strerror or error
    return WriteError(
        f"cannot write to {path} ({why}); mend that and repeat the command, or set --out to a "
        "folder of yours"
    )
