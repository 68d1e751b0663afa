"""The interface through which a job reports its progress; knows no terminal and no page."""

from __future__ import annotations

import contextlib
import math
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ...checkpoints.hub.first_use import Download, Needed
    from ...configs.schema import Settings
    from ...stages.shot import Shot
    from ..runs.folder import RunFolder
    from ..runs.manifest import ManifestRecord


class Reporter:
    """Receives what happens while a job runs. This base class ignores all of it.

    The command line prints it, the studio's worker sends it to the page.
    """

    def note(self, text: str) -> None:
        """Something worth knowing, such as where a run is written."""

    def warn(self, text: str) -> None:
        """Something that was ignored or may surprise, such as an unknown word in a prompt."""

    def status(self, text: str) -> None:
        """What is being waited for before the first picture, such as a model that loads."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` pictures have gone through `stage`."""

    def finished(self, record: ManifestRecord) -> None:
        """A shot is finished, and its line of the manifest written. May be called by a thread."""

    def preview(self, stage: str, shots: Sequence[Shot]) -> None:
        """These shots have come out of `stage` and go on: what can be shown of them before they
        are finished. Called from any thread."""

    def download(self, models: Collection[Needed]) -> None:
        """Download what these models lack, before they are loaded. A program says here what it
        downloads; in a library call the loaders download it."""

    def loading(
        self, settings: Settings, needs: Collection[str]
    ) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which the models of these stages are loaded. A program that owns its
        process sets it up here; a library call leaves the process as it is."""
        return contextlib.nullcontext()

    def running(
        self, folder: RunFolder, *, may_abandon: bool
    ) -> contextlib.AbstractContextManager[Any]:
        """Return a context that is open while shots go through the stages into `folder`.

        Args:
            folder: the run folder that is written to.
            may_abandon: whether the process may be ended in mid-picture without harm; False
                while workers of a cluster or predictions of a host have to be canceled first.
        """
        return contextlib.nullcontext()


class ProgramReporter(Reporter):
    """The base for programs that own their process: sets it up for the models of a job."""

    def download(self, models: Collection[Needed]) -> None:
        from ...checkpoints.hub import first_use
        from ...checkpoints.hub.pull import format_bytes

        downloads = first_use.missing(models)
        total, done = sum(todo.size for todo in downloads), 0
        for todo in downloads:
            self.status(f"downloading {todo.repository}, {format_bytes(todo.size)}")
            with self._download_progress(todo, done, total):
                first_use.fetch([todo])
            done += todo.size

    @contextlib.contextmanager
    def _download_progress(self, todo: Download, before: int, total: int) -> Iterator[None]:
        """Report progress in MiB each half second, by what is in the cache."""
        from ...checkpoints.hub.cache import bytes_on_disk

        here, ended = bytes_on_disk(todo.repository), threading.Event()

        def report(size: int) -> None:
            done, of = (math.ceil(count / 2**20) for count in (before + size, total))
            self.progress("download", done, of)

        def watch() -> None:
            while not ended.wait(0.5):
                with contextlib.suppress(OSError):  # a file that was moved meanwhile
                    report(max(0, min(bytes_on_disk(todo.repository) - here, todo.size)))

        thread = threading.Thread(target=watch, daemon=True)
        report(0)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        report(todo.size)

    @contextlib.contextmanager
    def loading(self, settings: Settings, needs: Collection[str]) -> Iterator[None]:
        from ...stages.accel.memory import loading
        from ..build import process
        from ..build.required_models import required_models

        self.download(required_models(settings, needs))
        with loading():
            process.prepare(settings, needs)
            yield

    @contextlib.contextmanager
    def running(self, folder: RunFolder, *, may_abandon: bool) -> Iterator[None]:
        from ...stages.accel.memory import loaded

        with loaded():
            yield
