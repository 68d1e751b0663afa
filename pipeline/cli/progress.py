"""Progress bars on stderr. Knows rich, no models."""

from __future__ import annotations

import sys


class VerificationProgress:
    """Bytes, rate and remaining time of hashing the files of one model; `quiet` shows nothing.

    The bar starts with the first bytes, so that the bars of a download may come before it.
    """

    def __init__(self, name: str, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._quiet = quiet
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            disable=quiet or not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task(name, total=None, visible=False)

    def __enter__(self) -> VerificationProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if not self._quiet:
            self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def advance(self, count: int, total: int) -> None:
        """Count `count` more bytes of `total`."""
        self._progress.start()  # no-op once it runs
        self._progress.update(self._task, advance=count, total=total, visible=True)
