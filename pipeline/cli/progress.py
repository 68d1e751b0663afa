"""Progress on stderr: bars on a terminal, a line now and then elsewhere. Knows rich, no models."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .output import console, debug
from .verbosity import log_event

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress, ProgressColumn

VERBS = {
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


EVERY = 10.0
"""Seconds between two lines of progress where there is no terminal."""
PATIENCE = 2.0
"""Seconds without a finished picture after which steps are shown."""


def _stage_bars(notices: Sequence[str], *columns: ProgressColumn) -> Progress:
    """Return bars on stderr: name, bar, count, these columns, remaining time; `notices` are the
    lines below them."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    class Bars(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield from super().get_renderables()
            yield from notices

    return Bars(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console(stderr=True),
    )


class StageProgress:
    """Progress of stages: bars with rate and remaining time on a terminal, else lines now and then.

    Nothing is shown before there is something to tell, so that an error stays one line.

    Args:
        quiet: show nothing.
        lines: show lines on a terminal too, as with --log-json.
    """

    def __init__(self, quiet: bool = False, lines: bool = False) -> None:
        self._quiet = quiet
        self._bars = None if quiet or lines or not sys.stderr.isatty() else _Bars()
        self._reporting = lines
        self._worked: dict[str, tuple[int, float]] = {}
        self._latest: dict[str, tuple[int, int]] = {}
        self._shown: dict[str, tuple[int, int]] = {}
        self._began = self._last = time.perf_counter()
        self._reported = self._began

    def __enter__(self) -> StageProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bars off the terminal, where later progress shows them again; elsewhere end the
        lines with how far each stage came."""
        if self._bars:
            self._bars.stop()
        if self._reporting:
            for stage, counts in self._latest.items():
                if self._shown.get(stage) != counts:
                    self._report(stage, *counts)

    def notify(self, text: str) -> bool:
        """Show a line below the bars from now on; False where there are none. A signal handler may
        call it: the next time the bars are drawn, the line is too."""
        return self._bars is not None and self._bars.notify(text)

    def say(self, text: str) -> None:
        """Show what is waited for, such as a model that loads."""
        debug(text)
        if self._bars:
            self._bars.say(text)

    def step(self, stage: str, step: int, steps: int, pictures: int) -> None:
        """Show that a call which draws so many pictures at once has made a step of the sampler."""
        now = time.perf_counter()
        if now - self._last < PATIENCE:
            return
        if self._bars:
            self._bars.step(stage, step, steps)
        elif not self._quiet and now - self._reported >= EVERY:
            self._reported = now
            values = {"event": "step", "stage": stage, "step": step, "steps": steps}
            many = f"{pictures} picture{'s' * (pictures != 1)}"
            text = f"{VERBS[stage]} {many}: step {step} of {steps}"
            log_event(text, {**values, "pictures": pictures})

    def update(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` pictures have gone through `stage`."""
        # Stages take turns: the time since the last progress of any stage was this one's.
        now = time.perf_counter()
        worked, seconds = self._worked.get(stage, (0, 0.0))
        if done > worked:
            self._worked[stage] = worked, seconds = done, seconds + now - self._last
        self._last = now
        if self._bars:
            self._bars.update(stage, done, total, _rate(worked, seconds))
        elif done and not self._quiet:
            self._latest[stage] = done, total
            if now - self._reported >= EVERY:
                self._reported, self._reporting = now, True
                self._report(stage, done, total)

    def _report(self, stage: str, done: int, total: int) -> None:
        from ..runner.summary import duration

        self._shown[stage] = done, total
        worked, seconds = self._worked.get(stage, (0, 0.0))
        left = seconds / worked * (total - done) if worked else None
        text = f"{VERBS[stage]}: {done} of {total}"
        text += f", {duration(left)} left" if left and left >= 0.5 else ""
        values = {"event": "progress", "stage": stage, "done": done, "total": total}
        log_event(text, {**values, "seconds_left": left and round(left, 1)})


class _Bars:
    """A bar a stage, drawn once there is something to show."""

    def __init__(self) -> None:
        from rich.progress import TextColumn

        self._notices: list[str] = []
        self._progress = _stage_bars(self._notices, TextColumn("{task.fields[rate]:>11}"))
        self._tasks: dict[str, Any] = {}
        self._loading: Any = None
        self._drawn = False

    def _draw(self) -> None:
        if not self._drawn:
            self._drawn = True
            self._progress.start()

    def stop(self) -> None:
        if self._drawn:
            self._drawn = False
            self._progress.stop()

    def notify(self, text: str) -> bool:
        if self._drawn:
            self._notices.append(text)
        return self._drawn

    def say(self, text: str) -> None:
        self._draw()
        if self._loading is None:
            self._loading = self._progress.add_task(text, total=None, rate="")
        self._progress.update(self._loading, description=text)

    def step(self, stage: str, step: int, steps: int) -> None:
        self._progress.update(self._task(stage), rate=f"step {step}/{steps}")

    def update(self, stage: str, done: int, total: int, rate: str) -> None:
        task = self._task(stage)
        self._progress.update(task, completed=done, total=total, rate=rate)

    def _task(self, stage: str) -> Any:
        """Return the bar of a stage, which takes the place of what was waited for."""
        self._draw()
        if self._loading is not None:
            self._progress.remove_task(self._loading)
            self._loading = None
        if stage not in self._tasks:
            name = VERBS[stage]
            self._tasks[stage] = self._progress.add_task(name, total=None, rate="")
        return self._tasks[stage]


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
