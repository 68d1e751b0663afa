"""The job queue: its logic with a scripted worker, then the real worker process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.scripted_worker import END, ScriptedWorker

from visuals.pipeline.cli import main
from visuals.pipeline.jobs.draw_grid import GridRequest
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.web.queue import requests
from visuals.pipeline.web.queue.job_queue import BusyError, JobQueue, QueuedJob
from visuals.pipeline.web.queue.requests import CaptionRequest, ResumeRequest, TrainRequest

MUG = RunRequest(classes=["mug"])


def until(true: Callable[[], object], seconds: float = 200) -> None:
    end = time.time() + seconds
    while not true():
        assert time.time() < end
        time.sleep(0.01)


@pytest.fixture
def worker() -> ScriptedWorker:
    return ScriptedWorker()


@pytest.fixture
def queue(worker: ScriptedWorker, tmp_path: Path) -> Iterator[JobQueue]:
    queue = JobQueue(tmp_path / "runs", most_waiting=3, worker=lambda: worker)
    yield queue
    queue.close()


def running(job: QueuedJob) -> QueuedJob:
    until(lambda: job.status != "queued", 30)
    return job


def test_jobs_run_one_after_another_in_folders_of_their_own(
    queue: JobQueue, worker: ScriptedWorker
) -> None:
    first, second = queue.submit(MUG), queue.submit(MUG)
    grid = queue.submit(GridRequest(prompts=("a mug",)))
    running(first)
    assert second.status == "queued" and queue.ahead(second) == 1 and queue.ahead(grid) == 2
    for job in (first, second, grid):
        worker.events.put(END)
        assert queue.wait(job, 30).status == "done"
    assert len({first.folder, second.folder, grid.folder}) == 3
    assert first.id.endswith("-mug") and second.id == f"{first.id}-2"
    assert [str(r) for r in worker.requests] == [
        f"visuals run --class mug --out {first.folder}",
        f"visuals run --class mug --out {second.folder}",
        f"visuals grid --prompt 'a mug' --preset mini --seeds 0,1,2,3 --cells {grid.folder} "
        f"--out {grid.folder}/grid.png",
    ]


def test_progress_gives_the_time_left(queue: JobQueue, worker: ScriptedWorker) -> None:
    job = running(queue.submit(MUG))
    assert job.seconds_left is None
    worker.events.put({"event": "status", "text": "loading"})
    until(lambda: job.activity == "loading", 30)
    worker.events.put({"event": "stage", "stage": "generate", "done": 0, "total": 4})
    worker.events.put({"event": "step"})
    until(lambda: job.steps == 1, 30)
    assert job.seconds_left is None
    worker.events.put({"event": "stage", "stage": "generate", "done": 2, "total": 4})
    until(lambda: job.stages == {"generate": (2, 4)}, 30)
    until(lambda: "generate" in job.seconds and job.steps == 0 and job.activity == "", 30)
    assert job.left("generate") == job.seconds["generate"] == job.seconds_left
    worker.events.put({"event": "stage", "stage": "rerender", "done": 0, "total": 4})
    until(lambda: "rerender" in job.stages, 30)
    assert job.seconds_left == pytest.approx(3 * job.seconds["generate"])  # as fast as stage 1
    worker.events.put(END)
    assert queue.wait(job, 30).seconds_left is None


def test_a_cancelled_job_is_stopped_whatever_the_worker_answers(
    queue: JobQueue, worker: ScriptedWorker
) -> None:
    current, waiting = running(queue.submit(MUG)), queue.submit(MUG)
    assert queue.cancel(waiting.id) and waiting.status == "stopped" and not worker.stops
    assert queue.cancel(current.id) and queue.wait(current, 30).status == "stopped"
    assert worker.stops == [False] and "Resume continues it" in current.message
    assert not queue.cancel(current.id) and not queue.cancel("unknown")
    assert len(worker.requests) == 1


def test_a_training_saves_first(queue: JobQueue, worker: ScriptedWorker, tmp_path: Path) -> None:
    training = TrainRequest("loras/look.yaml")
    job = running(queue.submit(training, out=tmp_path / "loras" / "look"))
    with pytest.raises(BusyError, match="look is being worked on"):
        queue.submit(training, out=tmp_path / "loras" / "look")
    assert job.id == "look" and job.request == training
    assert queue.cancel("look") and job.stopping
    queue.wait(job, 30)
    assert worker.stops == [True] and (job.status, job.message) == ("stopped", "saved")


def test_crashes_and_failures_are_told_and_the_queue_continues(
    queue: JobQueue, worker: ScriptedWorker
) -> None:
    crashed, failed, done = (queue.submit(MUG) for _ in range(3))
    worker.events.put(None)
    worker.events.put({"event": "end", "code": 2, "message": "unknown preset"})
    worker.events.put({"event": "end", "code": 0, "message": "a warning"})
    queue.wait(done, 30)
    assert crashed.status == "crashed" and "SIGKILL" in crashed.message
    assert (failed.status, failed.message) == ("failed", "unknown preset")
    assert (done.status, done.message) == ("done", "a warning")


def test_too_many_jobs_are_refused(queue: JobQueue, worker: ScriptedWorker) -> None:
    running(queue.submit(MUG))
    for _ in range(3):
        queue.submit(MUG)
    with pytest.raises(BusyError, match="3 jobs wait already"):
        queue.submit(MUG)


def test_closing_stops_all_and_lets_a_training_save(tmp_path: Path) -> None:
    worker = ScriptedWorker()
    queue = JobQueue(tmp_path / "runs", worker=lambda: worker)
    job = running(queue.submit(TrainRequest("x.yaml"), out=tmp_path / "x"))
    waiting = queue.submit(MUG)
    queue.close()
    assert worker.stops == [True]
    assert not job.open and waiting.status == "stopped"


def test_the_next_server_knows_the_jobs_of_the_last(worker: ScriptedWorker, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    queue = JobQueue(root, worker=lambda: worker)
    requests_: list[requests.Request] = [
        RunRequest(classes=["mug"], overrides={"generate.first_seed": 7}),
        GridRequest(prompts=("a mug",), seeds=(1, 2), overrides={"generate.steps": 2}),
        CaptionRequest("sets/x", "tag", overwrite=True),
        TrainRequest("loras/look.yaml", resume=True),
        ResumeRequest("runs/x"),
    ]
    done, *others = [queue.submit(request) for request in requests_]
    worker.events.put({"event": "stage", "stage": "generate", "done": 1, "total": 4})
    worker.events.put({"event": "end", "code": 0, "message": "a warning"})
    queue.wait(done, 30)
    running(others[0])

    after = JobQueue(root, worker=ScriptedWorker)  # as after a kill: the first was not closed
    again = after.get(done.id)
    assert again is not None and again is not done and again == replace(done, last_progress=None)
    for job in others:
        found = after.get(job.id)
        assert found is not None and (found.request, found.folder) == (job.request, job.folder)
        assert found.status == "stopped" and found.message == requests.STOPPED[type(job.request)]
    assert not any(job.open for job in after)
    (root / ".studio" / ".jobs.json").write_text('[{"id": 3}]')
    assert list(JobQueue(root, worker=ScriptedWorker)) == []
    queue.close()


@pytest.mark.slow
def test_a_real_worker_is_cancelled_crashes_and_continues(mini: Path, own_home: Path) -> None:
    queue = JobQueue("runs")
    try:
        long = queue.submit(RunRequest(classes=["mug"], count=4, steps=1000))
        until(lambda: long.steps)
        began = time.time()
        assert queue.cancel(long.id)
        queue.wait(long, 30)
        assert long.status == "stopped" and time.time() - began < 10

        crashed = queue.submit(RunRequest(classes=["mug"], count=4, steps=1000))
        until(lambda: crashed.steps)
        assert queue.worker._process is not None
        queue.worker._process.kill()
        queue.wait(crashed, 30)
        assert crashed.status == "crashed" and "SIGKILL" in crashed.message

        failed = queue.submit(RunRequest(classes=["mug"], preset="nope"))
        done = queue.submit(RunRequest(classes=["mug"], count=1, steps=2))
        until(lambda: done.previews)
        ((id_, (file, caption)),) = done.previews.items()
        assert file.parent == done.folder / ".previews" and caption.startswith(f"{id_} · ")
        queue.wait(done, 200)
        assert not done.previews and not file.parent.exists()
        assert failed.status == "failed" and "unknown preset 'nope'" in failed.message
        assert done.status == "done" and len(done.records()) == 1
        assert done.stages and all(n == total for n, total in done.stages.values())
        assert isinstance(done.request, RunRequest)
        result = CliRunner().invoke(main, done.request.words())
        assert result.exit_code == 0 and "done before" in result.output  # the same run goes on
        again = requests.request_of_run(done.folder)
        repeated = dict(again.setting_overrides())
        assert repeated.pop("run.seed") >= 0 and repeated == done.request.setting_overrides()
        assert again.classes == done.request.classes and again.count == done.request.count
        (done.folder / "manifest.jsonl").write_text("")  # as if stopped before the first picture
        resumed = queue.submit(ResumeRequest(str(done.folder)), out=done.folder)
        assert queue.wait(resumed, 200).status == "done" and len(resumed.records()) == 1
    finally:
        queue.close()
