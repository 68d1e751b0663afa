"""Where run folders are: names of new ones, folders on a disk or in an object store."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .inside_path import file_name
from .object_store import ObjectStore, is_url

if TYPE_CHECKING:
    from .folder import RunFolder


def new_folder(words: Sequence[str]) -> str:
    """Return a name under runs/ that is not taken: the time and `words`, as in `…-red-mug`."""
    text = "-".join([time.strftime("%Y%m%d-%H%M%S"), *words])
    name = f"runs/{file_name(re.sub('[ /]', '-', text))}"
    folder, number = name, 2
    while Path(folder).exists():
        folder, number = f"{name}-{number}", number + 1
    return folder


def run_place(out: str) -> Path | ObjectStore:
    """Return the folder that `out` names: a path, or a folder of an object store.

    Raises:
        RunFolderError: `out` is a URL that names no folder in a store.
        MissingDependencyError: the store's library is not installed.
    """
    return ObjectStore(out).ready() if is_url(out) else Path(out)


@contextlib.contextmanager
def on_disk(run: str, note: Callable[[str], None] = lambda text: None) -> Iterator[str]:
    """Yield the path of a run folder; one in an object store is copied to a temporary folder."""
    if not is_url(run):
        yield run
        return
    from .remote_folder import fetched

    note(f"copying {run} here")
    with fetched(run, note) as folder:
        yield str(folder)


def resume_hint(folder: RunFolder) -> str:
    """Return the command that resumes a run, and how many pictures it has.

    For example `visuals resume runs/x goes on: 3 pictures are done and kept`.
    """
    done = folder.saved
    pictures = "1 picture is" if done == 1 else f"{done} pictures are"
    return f"visuals resume {folder.place} goes on: {pictures} done and kept"
