"""Folders in an object store (S3, Google Cloud Storage): objects written and read by name.

Objects are written atomically. Addresses and credentials are those that the store's library
finds in the environment and in the user's files.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from ...checkpoints import atomic_files
from ...configs.errors import (
    MissingDependencyError,
    RunFolderError,
    VisualsError,
    WriteError,
    one_line,
)
from ..runner.io_threads import prefetch
from . import jsonl, run_yaml
from .inside_path import OutsideError, check_name, clean, inside

MODULES = {"s3": "s3fs", "gs": "gcsfs"}
"""The library of each store, by the scheme of its URLs."""
_EXTRAS = {"s3": "s3", "gs": "gcs"}
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
"""Errors of looking at a file that say that there is none."""
MAX_KEY_BYTES = 1024
"""Longest name that a store allows."""
_LONGEST_FOLDER = 700
"""The rest is for the names of files."""
_OPTIONS: dict[str, dict[str, Any]] = {
    # botocore's attempts are multiplied by s3fs's five: enough for a store that is down for ten
    # seconds, without long waits for one that is gone.
    "s3": {"config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 3}}},
    "gs": {},
}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `aws configure`",
    "gs": "`gcloud auth application-default login`, or GOOGLE_APPLICATION_CREDENTIALS",
}
_NO_NAME = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
"""Errors of the disk for names that are too long, or that are a file's and a folder's."""
T = TypeVar("T")


class ObjectStoreError(WriteError):
    """The store refuses or does not answer; the message quotes it."""


def is_url(place: object) -> bool:
    """Return whether a folder is named by a URL.

    >>> is_url("s3://bucket/shop"), is_url("runs/shop")
    (True, False)
    """
    return "://" in str(place)


class ObjectStore:
    """The folder `url`: `s3://bucket/folder` or `gs://bucket/folder`. Thread-safe; pickled by URL.

    Connects at the first call of a method. The methods raise ObjectStoreError, and
    MissingDependencyError where the store's library is not installed.

    Raises:
        RunFolderError: the URL is not of this form.
    """

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        bucket, _, folder = rest.strip("/").partition("/")
        try:
            is_folder = scheme in MODULES and bool(bucket) and check_name(folder) == clean(folder)
        except OutsideError:
            is_folder = False
        if not is_folder or len(folder.encode()) > _LONGEST_FOLDER:
            raise RunFolderError(
                f"{url}: expected a folder, s3://bucket/folder or gs://bucket/folder, of at most "
                f"{_LONGEST_FOLDER} bytes"
            )
        self.scheme, self.bucket = scheme, bucket
        self._root = f"{bucket}/{folder}"
        self.url = f"{scheme}://{self._root}"
        self._system: Any = None

    def __str__(self) -> str:
        return self.url

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_system": None}  # connections cannot be pickled

    def ready(self) -> ObjectStore:
        """Return itself; raises MissingDependencyError without the store's library."""
        module = MODULES[self.scheme]
        if find_spec(module) is None:
            raise MissingDependencyError(module, _EXTRAS[self.scheme])
        return self

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self._root.rpartition("/")[2]

    @property
    def _fs(self) -> Any:
        if self._system is None:
            self.ready()
            import_module(MODULES[self.scheme])
            import fsspec

            logging.getLogger("asyncio").addFilter(_is_news)
            options = _OPTIONS[self.scheme]
            self._system = fsspec.filesystem(self.scheme, use_listings_cache=False, **options)
        return self._system

    def put(self, name: str, data: bytes) -> None:
        """Write an object; raises OSError (ENAMETOOLONG) for a name longer than stores allow."""
        self._call(lambda: self._fs.pipe_file(self._key(name), data))

    def put_file(self, name: str, path: Path) -> None:
        """Write a local file as an object."""
        self._call(lambda: self._fs.put_file(str(path), self._key(name)))

    def create(self, name: str, data: bytes) -> bool:
        """Write an object where there is none of that name; returns whether it did."""

        def write() -> bool:
            try:
                self._fs.pipe_file(self._key(name), data, mode="create")
            except FileExistsError:
                return False
            except Exception as error:
                text = f"{error} {getattr(error, 'code', '')}"
                if "PreconditionFailed" in text or "412" in text or "Conflict" in text:
                    return False
                if "NotImplemented" not in text and "not implemented" not in text:
                    raise
                self._fs.pipe_file(self._key(name), data)
            return True

        return self._call(write)

    def get(self, name: str) -> bytes | None:
        """Return the bytes of an object; None where there is none."""
        return self._find(lambda: self._fs.cat_file(self._key(name)))

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the values of each whole line of a JSON Lines object."""
        for line in (self.get(name) or b"").split(b"\n")[:-1]:
            yield jsonl.parse(line, f"{self}/{name}")

    def modified(self, name: str) -> datetime | None:
        """Return when an object was written, by the store's clock; None where there is none."""
        return self._find(lambda: self._fs.modified(self._key(name)))

    def remove(self, name: str) -> None:
        """Remove an object, if there is one."""
        self._find(lambda: self._fs.rm_file(self._key(name)))

    def names(self) -> list[str]:
        """Return the names of all objects, sorted."""
        found = self._call(lambda: self._fs.find(self._root))
        return sorted(path[len(self._root) + 1 :] for path in found)

    def fetch(self, names: Sequence[str], folder: Path, *, threads: int = 16) -> list[str]:
        """Copy objects to a local folder, under their names; missing ones are left out.

        Returns the names that no file of the folder can have.
        """
        left_out = []
        contents = prefetch(names, self.get, depth=threads, threads=threads)
        for name, data in zip(names, contents, strict=True):
            try:
                if data is not None:
                    atomic_files.write(inside(folder, name), data)
            except OSError as error:
                if error.errno not in _NO_NAME:
                    raise
                left_out.append(name)
            except OutsideError:
                left_out.append(name)
        return left_out

    def _key(self, name: str) -> str:
        key = f"{self._root}/{name}"
        if len(key.encode()) - len(self.bucket) > MAX_KEY_BYTES:
            raise OSError(errno.ENAMETOOLONG, f"{self.scheme}://{key}: over {MAX_KEY_BYTES} bytes")
        return key

    def _find(self, call: Callable[[], T]) -> T | None:
        """Return what `call` returns; None where the object, not the bucket, is missing."""

        def find() -> T | None:
            try:
                return call()
            except FileNotFoundError as error:
                if "bucket" in str(error).lower():
                    raise
                return None

        return self._call(find)

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except VisualsError:
            raise
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise
            raise self._error(error) from error
        except Exception as error:  # its libraries raise all kinds
            raise self._error(error) from error

    def _error(self, error: BaseException) -> ObjectStoreError:
        """Return the error with what may help."""
        kind, message = type(error).__name__, one_line(error)
        low = f"{kind} {message}".lower()
        if isinstance(error, FileNotFoundError):
            remedy = f"make the bucket {self.bucket} first, or name another"
        elif "endpoint" in low or "connect" in low or "timeout" in low or "timed out" in low:
            remedy = "check the network and the store's address"
        elif isinstance(error, PermissionError) or any(
            word in low for word in ("credential", "accesskey", "access key", "signature", "token")
        ):
            remedy = (
                f"expected the right to read, write and delete there: {_CREDENTIALS[self.scheme]}"
            )
        else:
            remedy = "check the store"
        return ObjectStoreError(f"cannot use {self.url} ({message or kind}); {remedy}")


def keep(place: Path | ObjectStore, name: str, data: bytes) -> None:
    """Write a file of a run atomically, on the disk or in the store."""
    if isinstance(place, ObjectStore):
        place.put(name, data)
    else:
        atomic_files.write(inside(place, name), data)


def holds(place: Path | ObjectStore) -> Callable[[str], bool]:
    """Return a function that tells whether a run has a file of that name, which is not empty.

    It raises RunFolderError for one that cannot be looked at: its line must not be given up.
    """
    if isinstance(place, ObjectStore):
        names = functools.cache(lambda: set(place.names()))
        return lambda name: name in names()

    def is_file(name: str) -> bool:
        path = inside(place, name)
        try:
            status = os.stat(path)
            return stat.S_ISREG(status.st_mode) and status.st_size > 0
        except ValueError:
            return False
        except OSError as error:
            if error.errno in _NO_FILE:
                return False
            raise RunFolderError(
                f"{path} cannot be read ({error.strerror}): expected a file of the run; allow it"
            ) from None

    return is_file


def read(place: Path | ObjectStore) -> dict[str, Any]:
    """Return the record of a run folder, as `run_yaml.read` does."""
    if isinstance(place, Path):
        return run_yaml.read(place)
    data = place.get(run_yaml.NAME)
    return {} if data is None else run_yaml.parse(data, f"{place}/{run_yaml.NAME}")


def text(place: Path | ObjectStore, name: str) -> str | None:
    """Return a text file of a run; None where there is none."""
    if isinstance(place, ObjectStore):
        data = place.get(name)
        return None if data is None else data.decode("utf-8")
    path = inside(place, name)
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record is more than asyncio's traceback of a failed request, which was raised."""
    kind = record.exc_info[0] if record.exc_info else None
    of_aiohttp = kind is not None and kind.__module__.startswith("aiohttp")
    return not (of_aiohttp and "never retrieved" in record.getMessage())
