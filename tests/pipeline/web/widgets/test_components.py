"""What the tabs show of jobs, records and errors, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

gradio = pytest.importorskip("gradio", reason="gradio is not installed")

from helpers.scripted_worker import EndingWorker  # noqa: E402

from visuals.configs.errors import UsageError  # noqa: E402
from visuals.pipeline.jobs.request import RunRequest  # noqa: E402
from visuals.pipeline.runs.manifest import DetectionRecord, FileNames, ManifestRecord  # noqa: E402
from visuals.pipeline.web.files.run_folders import RunSummary  # noqa: E402
from visuals.pipeline.web.queue.job_queue import JobQueue, QueuedJob  # noqa: E402
from visuals.pipeline.web.queue.requests import TrainRequest  # noqa: E402
from visuals.pipeline.web.widgets import before_after, components  # noqa: E402
from visuals.stages.shot import Failure, Skip  # noqa: E402

MUG = DetectionRecord(label="mug", score=0.912, box_xyxy=(0, 0, 8, 8))


def record(id_: str, **values: Any) -> ManifestRecord:
    return ManifestRecord(id=id_, **{"seed": 0, "status": "enhanced", **values})


RECORDS = [
    record("a", detections=(MUG,), metrics={"changed_outside": 0}),
    record("b", status="skipped", reason=Skip("no_detection", "no <mug>")),
    record("c", status="failed", error=Failure("OSError", "not a picture", "load")),
]


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "runs", worker=EndingWorker)


def test_captions_and_facts() -> None:
    assert [components.caption(r) for r in RECORDS] == [
        "a · enhanced · mug 0.91", "b · skipped: no <mug>", "c · failed: not a picture",
    ]  # fmt: skip
    html = components.facts(RECORDS)
    assert "enhanced <b>1</b>" in html and "changed outside the masks <b>0</b>" in html
    assert "<b>b</b> skipped: no &lt;mug&gt;" in html
    assert "masks" not in components.facts(RECORDS[1:])


def test_progress_of_jobs(queue: JobQueue, tmp_path: Path) -> None:
    assert components.progress(None, queue) == ""
    job = QueuedJob("x", RunRequest(classes=["mug"]), tmp_path, "running", activity="loading <x>")
    assert "Working · loading &lt;x&gt;" in components.progress(job, queue)
    job.stages, job.seconds, job.activity = {"download": (3, 4)}, {"download": 9.0}, ""
    html = components.progress(job, queue)
    assert "Working · reading the libraries<" in html and "3/4 MiB · 3 s" in html
    job.stages, job.seconds, job.steps = {"generate": (1, 4)}, {"generate": 10.0}, 3
    html = components.progress(job, queue)
    assert "Working · 30 s left · step 3" in html and "1/4 · 30 s" in html and "Generating" in html
    job.steps, job.activity = 0, "loading another"  # of a grid over two models
    assert "loading another" in components.progress(job, queue)
    job.status, job.started, job.ended, job.message = "failed", 1.0, 200.0, "no <room>"
    html = components.progress(job, queue)
    assert "Failed in 3 min" in html and "no &lt;room&gt;" in html
    training = QueuedJob("y", TrainRequest("x.yaml"), tmp_path, "running", stopping=True)
    assert "Stopping, saving first" in components.progress(training, queue)


def test_pictures_of_a_job_are_finished_ones_and_previews(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "x"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"")
    job = QueuedJob("x", RunRequest(classes=["mug"]), folder, "running")
    for id_ in ("a", "b"):
        job.on_event(
            {
                "event": "preview",
                "id": id_,
                "file": f"{id_}-generate.jpg",
                "caption": f"{id_} · drawn",
            }
        )
    done = [record("a", files=FileNames(result="a.png"))]
    assert components.pictures_of(job, done) == [
        (str(folder / "a.png"), "a · enhanced"),
        (str(folder / ".previews" / "b-generate.jpg"), "b · drawn"),
    ]


def test_errors_are_shown_and_nothing_else_changes() -> None:
    message = gradio.HTML()

    def fail(error: Exception) -> None:
        raise error

    shown = components.show_errors(fail, message)(UsageError("a <b>\nlong line"))
    assert shown == {message: '<p class="preview bad" role="alert">a &lt;b&gt; long line</p>'}
    with pytest.raises(KeyError):
        components.show_errors(fail, message)(KeyError("a bug"))
    assert "and 5 more" in components.refused([f"{k}" for k in range(25)])


def test_before_and_after_are_files_of_the_run(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    folder = root / "a run"
    folder.mkdir(parents=True)
    for name in ("source.png", "result.png"):
        (folder / name).write_bytes(b"")
    (tmp_path / "outside.png").write_bytes(b"")
    records = [
        record("kept", status="kept", files=FileNames(source="source.png")),
        record("done", files=FileNames(source="source.png", result="result.png")),
        record("outside", status="kept", input=str(tmp_path / "outside.png")),
        record("gone", status="kept", files=FileNames(source="gone.png")),
    ]
    run = RunSummary(folder, records)
    assert [r.id for r in components.shown(run)] == ["kept", "done"]
    address = "api/runs/a%20run/files/"
    both = before_after.update(run).value
    assert both["before"] == f"{address}source.png" and both["after"] == f"{address}result.png"
    assert "cutout" not in both
    (folder / "cutouts").mkdir()
    (folder / "cutouts" / "done.png").touch()
    assert before_after.addresses(run, records[1])["cutout"] == f"{address}cutouts/done.png"
    alone = before_after.update(run, 0).value
    assert alone == {"alt": "kept · kept", "after": f"{address}source.png"}
    assert not before_after.update(run, 2).visible
    assert run.chosen("kept")[0].id == "kept" and run.counts == {"kept": 3, "enhanced": 1}
