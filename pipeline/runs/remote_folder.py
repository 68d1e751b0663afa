"""Run folders in an object store: opened for writing, or copied here for reading."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...configs.errors import RunFolderError, VisualsError
from ..images.read import printable
from . import run_yaml
from .folder import RunFolder, check_place
from .lock import HOLDER
from .object_store import ObjectStore, ObjectStoreError, read
from .object_store_lock import BEAT, ObjectStoreLock
from .storage import RemoteStorage

WRITERS = 8
"""Threads that write pictures: a store answers slowly, but answers many at once."""


@contextlib.contextmanager
def opened(store: ObjectStore, parts: Mapping[str, Any], beat: float = BEAT) -> Iterator[RunFolder]:
    """Open the run in the store's folder, new or to be resumed, locked against a second writer.

    Finished shots are uploaded at the end, even after an error.

    Args:
        store: the folder in the store.
        parts: the other arguments of RunFolder.
        beat: seconds between the lock's signs of life.

    Raises:
        RunFolderError: the folder holds another run, or another process writes to it.
        ObjectStoreError: the store refuses or does not answer.
    """
    temporary = tempfile.TemporaryDirectory(prefix="visuals-run-")
    with (
        temporary as local,
        _errors_of(store.url, Path(local)),
        ObjectStoreLock(store, beat=beat) as lock,
    ):
        check_place(store)
        storage = RemoteStorage(store, lock, Path(local))
        folder = RunFolder(local, storage=storage, **parts)
        try:
            yield folder
        except BaseException:
            with contextlib.suppress(ObjectStoreError, OSError):
                folder.save()
            raise
        folder.save()


@contextlib.contextmanager
def fetched(url: str, note: Callable[[str], None] = lambda text: None) -> Iterator[Path]:
    """Copy the run at a URL to a temporary folder of the same name; `note` receives what is left
    out.

    Raises:
        RunFolderError: there is no run at the URL.
    """
    store = ObjectStore(url)
    if not read(store):
        raise RunFolderError(f"{url} is no run folder: expected {run_yaml.NAME} in it")
    with tempfile.TemporaryDirectory(prefix="visuals-run-") as local:
        folder = Path(local) / store.name
        folder.mkdir()
        names = [  # consoles put empty objects that end in / where they show folders
            name for name in store.names() if not name.startswith(HOLDER[:5]) and name[-1:] != "/"
        ]
        for name in store.fetch(names, folder):
            note(f"{url}: {printable(name)!r} is no name of a file of a run; left out")
        with _errors_of(url, folder):
            yield folder


@contextlib.contextmanager
def _errors_of(url: str, folder: Path) -> Iterator[None]:
    """Name the URL in errors of the block, in place of the temporary folder."""
    try:
        yield
    except VisualsError as error:
        error.args = (str(error).replace(str(folder), url), *error.args[1:])
        raise
