"""What a person sees while a job runs and when it ends, on stderr. Knows rich, no models."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

    from ..exports.writer import Exported
    from ..runner.run import Summary

_VERBS = {
    "load": "reading",
    "generate": "generating",
    "detect": "detecting",
    "verify": "verifying",
    "segment": "masking",
    "mask": "choosing masks",
    "rerender": "re-rendering",
    "annotate": "annotating",
    "encode": "encoding",
    "train": "training",
    "shots": "pictures",
    "import": "importing",
    "caption": "captioning",
    "edit": "editing",
    "check": "checking",
}


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal, or that UTF-8 lacks; names and metadata of files have any."""


def shown(text: str) -> str:
    """Return a text with its control characters escaped, as JSON does it.

    >>> shown("a\x1b[2J")
    'a\\\\u001b[2J'
    """
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text that may come from a file of anyone; all of the command line's goes here."""
    click.echo(shown(text), err=err, nl=nl)


def console(**options: Any) -> Console:
    """Return rich's console for texts that may come from a file of anyone."""
    from rich.console import Console
    from rich.segment import Segment

    class SafeConsole(Console):
        def render(self, *arguments: Any, **more: Any) -> Iterator[Segment]:
            for part in super().render(*arguments, **more):
                yield part if part.control else part._replace(text=shown(part.text))

    return SafeConsole(**options)


def warn(text: str) -> None:
    echo(f"visuals: warning: {text}", err=True)


def note(text: str) -> None:
    echo(f"visuals: note: {text}", err=True)


def say(text: str) -> None:
    echo(f"visuals: {text}", err=True)


def print_json(record: Any) -> None:
    """Print one JSON object to stdout."""
    from ..runs.jsonl import to_json

    echo(to_json(record))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of texts below the names of their columns, aligned."""
    table = [[name.replace("_", " ") for name in columns], *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(columns))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        echo("  ".join(cells).rstrip())


def progress(*columns: ProgressColumn, quiet: bool = False) -> Progress:
    """Bars on stderr: name, bar, count, these columns, remaining time; `quiet` shows none."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console(stderr=True),
        disable=quiet,
    )


class StageProgress:
    """A progress bar per stage, with rate and remaining time; `quiet` shows none.

    Nothing is drawn before there is something to tell, so that an error stays one line.
    """

    def __init__(self, quiet: bool = False) -> None:
        from rich.progress import TextColumn

        self._progress = progress(TextColumn("{task.fields[rate]:>11}"), quiet=quiet)
        self._tasks: dict[str, Any] = {}
        self._worked: dict[str, tuple[int, float]] = {}
        self._last = time.perf_counter()
        self._loading: Any = None
        self._drawn = False

    def __enter__(self) -> StageProgress:
        return self

    def _draw(self) -> None:
        if not self._drawn:
            self._drawn = True
            self._progress.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bars off the terminal."""
        if self._drawn:
            self._drawn = False  # later progress draws them again
            self._progress.stop()

    def say(self, text: str) -> None:
        """A line of its own while models load."""
        self._draw()
        if self._loading is None:
            self._loading = self._progress.add_task(text, total=None, rate="")
        self._progress.update(self._loading, description=text)

    def update(self, stage: str, done: int, total: int) -> None:
        self._draw()
        if self._loading is not None:
            self._progress.remove_task(self._loading)
            self._loading = None
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(_VERBS[stage], total=total, rate="")
        # Stages take turns: the time since the last word of any stage was this one's.
        now = time.perf_counter()
        worked, seconds = self._worked.get(stage, (0, 0.0))
        if done > worked:
            self._worked[stage] = done, seconds + now - self._last
        self._last = now
        self._progress.update(
            self._tasks[stage],
            completed=done,
            total=total,
            rate=_rate(*self._worked.get(stage, (0, 0.0))),
        )


def _rate(done: int, seconds: float) -> str:
    if not done or not seconds:
        return ""
    return f"{done / seconds:.1f}/s" if done >= seconds else f"{seconds / done:.1f} s each"


class VerificationProgress:
    """Bytes, rate and remaining time of hashing the files of one model; `quiet` shows nothing.

    The bar starts with the first bytes, so that the bars of a download may come before it.
    """

    def __init__(self, name: str, quiet: bool) -> None:
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
            console=console(stderr=True),
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


def closing(summary: Summary) -> None:
    """The closing table: made, kept, skipped by reason, failed, seconds a picture."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(justify="left", style="dim")
    table.add_column(justify="right")
    if summary.resumed:
        table.add_row("done before", str(summary.resumed))
    if summary.made:
        table.add_row("made", str(summary.made))
    if summary.retried:
        table.add_row("drawn again", str(summary.retried))
    kept = summary.kept + summary.enhanced
    table.add_row("kept", f"[bold green]{kept}[/]")
    if summary.enhanced:
        table.add_row("re-rendered", str(summary.enhanced))
        table.add_row("pixels changed outside", str(summary.changed_outside))
    for code, count in summary.skipped.most_common():
        table.add_row(f"skipped, {code.replace('_', ' ')}", f"[yellow]{count}[/]")
    table.add_row("failed", f"[bold red]{summary.failed}[/]" if summary.failed else "0")
    if summary.total:
        table.add_row("seconds a picture", f"{summary.seconds / summary.total:.2f}")
    console(stderr=True, highlight=False).print(table)
    for text in summary.errors[:5]:
        echo(f"visuals: failed: {text}", err=True)
    if len(summary.errors) > 5:
        echo(f"visuals: and {len(summary.errors) - 5} more: see the report", err=True)


def annotated(written: Exported) -> None:
    """Where the annotations are, on stdout; pictures left out, on stderr."""
    for name, path in written.files.items():
        echo(f"{name:<9} {path}")
    for text in written.errors[:5]:
        warn(f"not annotated: {text}")
    if len(written.errors) > 5:
        warn(f"and {len(written.errors) - 5} more not annotated: see --json")
