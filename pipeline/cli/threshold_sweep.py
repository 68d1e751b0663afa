"""`visuals filter --sweep`: thresholds and what they would let pass, before anything is made."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .output import console, echo, print_json
from .reporter import TerminalReporter

if TYPE_CHECKING:
    from ..jobs.request import RunRequest
    from ..jobs.threshold_sweep import Sweep
    from .verbosity import Verbosity

_BARS = " ▁▂▃▄▅▆▇█"


def show(request: RunRequest, *, as_json: bool, yes: bool, verbosity: Verbosity) -> None:
    """Print the table, or a JSON object; raises InputError where no picture can be read."""
    from ..jobs.threshold_sweep import run_sweep

    with TerminalReporter(as_json, yes=yes, verbosity=verbosity) as reporter:
        found = run_sweep(request, reporter)
    if as_json:
        print_json(found.as_dict())
    else:
        _print(found)


def histogram(counts: Sequence[int]) -> str:
    """A bar a count, the highest full.

    >>> histogram([0, 1, 2, 8])
    ' ▁▂█'
    """
    most = max(1, *counts)
    return "".join(_BARS[-(-8 * n // most)] for n in counts)


def _print(found: Sweep) -> None:
    from rich.table import Table

    from ..jobs.threshold_sweep import THRESHOLDS

    width = None if sys.stdout.isatty() else 110  # a file takes the whole table
    terminal = console(highlight=False, width=width)
    table = Table(box=None, padding=(0, 1), title=f"{found.pictures} pictures; passing above")
    table.add_column("class", overflow="fold")
    for t in THRESHOLDS:
        table.add_column(f"{t:g}", justify="right")
    table.add_column("now", justify="right", style="bold")
    table.add_column("best scores 0 to 1", no_wrap=True)
    for name, now in found.now.items():
        *counts, passing = found.passing[name]
        bars = f"|{histogram(found.histogram(name))}|"
        table.add_row(name, *(str(n) for n in counts), f"{passing} at {now:g}", bars)
    if len(found.now) > 1:
        table.add_row("any", *(str(n) for n in found.any), "")
    terminal.print(table)
    if found.least > THRESHOLDS[0]:
        echo(f"below {found.least:g} detect.text_threshold decides")
    for text in found.errors:
        echo(f"visuals: failed: {text}", err=True)
