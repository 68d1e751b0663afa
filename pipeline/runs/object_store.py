"""A folder in an object store (S3, Google Cloud Storage): whole objects in and out, by name.

An object is put whole or not at all, so nothing is written beside and renamed. Who may read and
write there, and where it is, is what the store's own library finds in the environment and in the
user's files. Knows no runs, no terminal.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from ...configs.errors import one_line
from ..build.library_logging import hush_lost_tasks
from ..images import read as image_reader
from ..runner.io_threads import prefetch
from . import run_yaml
from .run_yaml import RunFolderError, WriteError

MODULES = {"s3": "s3fs", "gs": "gcsfs"}
"""By the start of a URL, the library that speaks to the store."""
LONGEST = 1024
"""Bytes that a store allows for a name."""
_OPTIONS: dict[str, dict[str, Any]] = {
    # botocore's attempts are multiplied by s3fs's five: a store that is down for ten seconds is
    # waited for, one that is gone is said.
    "s3": {"config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 3}}},
    "gs": {},
}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `aws configure`",
    "gs": "`gcloud auth application-default login`, or GOOGLE_APPLICATION_CREDENTIALS",
}
T = TypeVar("T")


class ObjectStoreError(WriteError):
    """A store that refuses or does not answer; the message says what it said."""


def is_url(place: object) -> bool:
    """Whether a folder is named by a URL.

    >>> is_url("s3://bucket/shop"), is_url("runs/shop")
    (True, False)
    """
    return "://" in str(place)


class ObjectStore:
    """The folder `url`: `s3://bucket/folder` or `gs://bucket/folder`.

    Several threads may use one; it travels to other processes as its URL. All methods but the
    first raise StoreError, and ImportError where the store's library is not installed.
    """

    def __init__(self, url: str) -> None:
        """Asks nobody; raises RunFolderError for another URL."""
        scheme, _, rest = url.partition("://")
        bucket, _, folder = rest.strip("/").partition("/")
        if scheme not in MODULES or not bucket or not folder.strip("/"):
            raise RunFolderError(
                f"{url}: expected a folder, s3://bucket/folder or gs://bucket/folder"
            )
        self.scheme, self.bucket = scheme, bucket
        self._root = f"{bucket}/{folder}"
        self.url = f"{scheme}://{self._root}"
        self._system: Any = None

    def __str__(self) -> str:
        return self.url

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_system": None}  # connections are a process's own

    def ready(self) -> ObjectStore:
        """Itself; raises ImportError where the store's library is not installed."""
        if find_spec(MODULES[self.scheme]) is None:
            module = MODULES[self.scheme]
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return self

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self._root.rpartition("/")[2]

    @property
    def _fs(self) -> Any:
        if self._system is None:
            import_module(MODULES[self.scheme])
            import fsspec

            hush_lost_tasks()
            options = _OPTIONS[self.scheme]
            self._system = fsspec.filesystem(self.scheme, use_listings_cache=False, **options)
        return self._system

    def put(self, name: str, data: bytes) -> None:
        """Write an object; raises OSError (ENAMETOOLONG) for a name that no store takes."""
        self._tried(lambda: self._fs.pipe_file(self._key(name), data))

    def put_file(self, name: str, path: Path) -> None:
        """Write a local file as an object."""
        self._tried(lambda: self._fs.put_file(str(path), self._key(name)))

    def create(self, name: str, data: bytes) -> bool:
        """Write an object that must not be there yet; False where it is."""

        def made() -> bool:
            try:
                self._fs.pipe_file(self._key(name), data, mode="create")
            except FileExistsError:
                return False
            except Exception as error:
                said = f"{error} {getattr(error, 'code', '')}"
                if "PreconditionFailed" in said or "412" in said or "Conflict" in said:
                    return False
                if "NotImplemented" not in said and "not implemented" not in said:
                    raise
                self._fs.pipe_file(self._key(name), data)
            return True

        return self._tried(made)

    def get(self, name: str) -> bytes | None:
        """An object's bytes; None where it is not there."""
        return self._there(lambda: self._fs.cat_file(self._key(name)))

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The whole lines of a JSON Lines object."""
        for line in (self.get(name) or b"").split(b"\n")[:-1]:
            yield json.loads(line)

    def modified(self, name: str) -> datetime | None:
        """When an object was put, by the store's clock; None where it is not there."""
        return self._there(lambda: self._fs.modified(self._key(name)))

    def remove(self, name: str) -> None:
        """Take an object away, if it is there."""
        self._there(lambda: self._fs.rm_file(self._key(name)))

    def names(self) -> list[str]:
        """The names of all objects, sorted."""
        found = self._tried(lambda: self._fs.find(self._root))
        return sorted(path[len(self._root) + 1 :] for path in found)

    def fetch(self, names: Sequence[str], folder: Path, *, at_once: int = 16) -> None:
        """Copy objects to a local folder, under their names; one that is gone is left out."""
        got = prefetch(names, self.get, depth=at_once, threads=at_once)
        for name, data in zip(names, got, strict=True):
            if data is not None:
                image_reader.write(inside(folder, name), data)

    def _key(self, name: str) -> str:
        key = f"{self._root}/{name}"
        if len(key.encode()) - len(self.bucket) > LONGEST:
            raise OSError(errno.ENAMETOOLONG, f"{self.scheme}://{key}: over {LONGEST} bytes")
        return key

    def _there(self, call: Callable[[], T]) -> T | None:
        """What `call` says of an object; None where the object, not the bucket, is missing."""

        def asked() -> T | None:
            try:
                return call()
            except FileNotFoundError as error:
                if "bucket" in str(error).lower():
                    raise
                return None

        return self._tried(asked)

    def _tried(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except ImportError:
            raise
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise
            raise self._error(error) from error
        except Exception as error:  # its libraries raise what they like
            raise self._error(error) from error

    def _error(self, error: BaseException) -> ObjectStoreError:
        """What was said, and what may mend it."""
        if isinstance(error, ObjectStoreError):
            return error
        kind, said = type(error).__name__, one_line(error)
        low = f"{kind} {said}".lower()
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
        return ObjectStoreError(f"cannot use {self.url} ({said or kind}); {remedy}")


def inside(folder: Path, name: str) -> Path:
    """The path of an object's name below `folder`; raises StoreError for one that leads out."""
    parts = name.split("/")
    if not all(parts) or ".." in parts or "." in parts:
        raise ObjectStoreError(
            f"{name!r}: expected the name of a run's file; take it out of the store"
        )
    return folder.joinpath(*parts)


def keep(place: Path | ObjectStore, name: str, data: bytes) -> None:
    """Write a file of a run, whole or not at all, wherever the run's folder is."""
    if isinstance(place, ObjectStore):
        place.put(name, data)
    else:
        image_reader.write(place / name, data)


def read(place: Path | ObjectStore) -> dict[str, Any]:
    """The run.yaml of a run's folder, as `run_yaml.read`."""
    if isinstance(place, Path):
        return run_yaml.read(place)
    data = place.get(run_yaml.NAME)
    return {} if data is None else run_yaml.parse(data, f"{place}/{run_yaml.NAME}")


def text(place: Path | ObjectStore, name: str) -> str | None:
    """A file of a run as text; None where it is not there."""
    if isinstance(place, ObjectStore):
        data = place.get(name)
        return None if data is None else data.decode("utf-8")
    path = place / name
    return path.read_text(encoding="utf-8") if path.is_file() else None
