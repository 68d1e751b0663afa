"""Orders as commands, and the queue that has them done by a real worker process."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from visuals.pipeline.cli import main
from visuals.pipeline.web.queue import commands
from visuals.pipeline.web.queue.commands import Command
from visuals.pipeline.web.queue.job_queue import JobQueue, QueuedJob

FEW = {"generate.steps": 2, "rerender.steps": 2}


@pytest.fixture
def desk(mini: Path, own_home: Path) -> Iterator[JobQueue]:
    desk = JobQueue("runs")
    yield desk
    desk.close()


def until(true: Callable[[], object], seconds: float = 200) -> None:
    end = time.time() + seconds
    while not true():
        assert time.time() < end
        time.sleep(0.1)


def test_an_order_is_typed_as_it_reads() -> None:
    order = Command(
        "run", classes=("mug",), edit='"odd" text', changes={"generate.sampler": "DDIM"}
    )
    words = shlex.split(order.line())
    assert words == ["visuals", *order.words()]
    assert words[-2:] == ["--set", "generate.sampler=DDIM"]


@pytest.mark.parametrize(
    "order",
    [
        Command("run", classes=("mug",), preset="nope"),
        Command("run", classes=("mug",), strength=1.4),
        Command("run", classes=("mug",), prompt="x <lora:nowhere:1>"),
    ],
)
def test_what_the_command_would_refuse_is_refused_before(order: Command, mini: Path) -> None:
    with pytest.raises(ValueError):
        commands.check(order)


@pytest.mark.slow
def test_jobs_cancel_crash_and_go_on(desk: JobQueue) -> None:
    def started(count: int, steps: int) -> QueuedJob:
        changes = {"generate.steps": steps, "rerender.steps": 2}
        return desk.submit(Command("run", classes=("mug",), count=count, changes=changes))

    long = started(4, 1000)
    until(lambda: long.steps)
    began = time.time()
    assert desk.cancel(long.id)
    desk.wait(long, 30)
    assert long.status == "stopped" and time.time() - began < 10

    crashed = started(4, 1000)
    until(lambda: crashed.steps)
    assert desk.worker._process is not None
    desk.worker._process.kill()
    desk.wait(crashed, 30)
    assert crashed.status == "crashed" and "SIGKILL" in crashed.said

    failed = desk.submit(Command("run", classes=("mug",), preset="nope"))
    done = started(1, 2)
    desk.wait(done, 200)
    assert failed.status == "failed" and "unknown preset 'nope'" in failed.said
    assert done.status == "done" and len(done.lines()) == 1 and done.share == 1
    result = CliRunner().invoke(main, done.order.words())
    assert result.exit_code == 0 and "done before" in result.output  # the same run goes on
    again = commands.of_run(done.folder)
    assert again.words() == replace(done.order, out=None).words()
