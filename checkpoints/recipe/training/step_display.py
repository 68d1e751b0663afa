"""How far a training is: a bar in a terminal, lines in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Show = Callable[[float, str | None], None]
"""Takes the share done, 0..1, and the latest figures, if there are new ones."""


@contextmanager
def shown(name: str) -> Iterator[Show]:
    """Show the progress of `name` until the block ends."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console()
    if not console.is_terminal:

        def line(share: float, figures: str | None) -> None:
            if figures is not None:
                print(f"{name}: {share:.1%} {figures}", flush=True)

        yield line
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        Remaining(),
        TextColumn("[dim]{task.fields[figures]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=1.0, figures="")

        def move(share: float, figures: str | None) -> None:
            bar.update(task, completed=min(1.0, share))
            if figures is not None:
                bar.update(task, figures=figures)

        yield move
