"""Messages and tables of the command line. Knows rich, no models."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from ..exports.writer import Exported
    from ..runner.run import Summary

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


class TerminalHandler(logging.Handler):
    """Prints messages on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = getattr(record, "kind", record.levelname.lower() + ": ")
        echo(f"visuals: {kind}{record.getMessage()}", err=True)


LOGGER = logging.getLogger("visuals")
"""Receives all messages of the command line; its handlers print them."""
LOGGER.setLevel(logging.DEBUG)
LOGGER.propagate = False
_default = TerminalHandler()
_default.setLevel(logging.INFO)
LOGGER.addHandler(_default)


def warn(text: str) -> None:
    LOGGER.warning("%s", text)


def note(text: str) -> None:
    LOGGER.info("%s", text, extra={"kind": "note: "})


def say(text: str) -> None:
    LOGGER.info("%s", text, extra={"kind": ""})


def debug(text: str) -> None:
    LOGGER.debug("%s", text, extra={"kind": ""})


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


def closing(summary: Summary) -> None:
    """Print the closing table: shots by outcome, as in the manifest, and seconds a picture."""
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
    if summary.enhanced:
        table.add_row("enhanced", f"[bold green]{summary.enhanced}[/]")
        table.add_row("pixels changed outside", str(summary.changed_outside))
    if summary.kept or not summary.enhanced:
        table.add_row("kept", f"[bold green]{summary.kept}[/]")
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
