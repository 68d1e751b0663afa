"""Room for uploads, and an end to those that nobody uses: never a run, nothing through links."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from helpers.scripted_worker import EndingWorker

pytest.importorskip("gradio", reason="gradio is not installed")

from starlette.testclient import TestClient

from visuals.pipeline.web import server
from visuals.pipeline.web.files import disk_space, uploads
from visuals.pipeline.web.files.disk_space import DiskFullError, check_space, remove_unused
from visuals.pipeline.web.queue.job_queue import JobQueue

TEMPORARY = (
    "cache/a/x.png",
    "uploads/b/x.png",
    "found/c/images/x.png",
    "chosen/c/x.png",
    "thumbnails/r/x.jpg",
)
KEPT = (".studio/.jobs.json", "a-run/run.yaml", "a-run/x.png", ".studio/other/x.png")


def written(path: Path, days_ago: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    then = time.time() - days_ago * 86_400
    for used in (path, *path.parents[:3]):
        os.utime(used, (then, then))
    return path


def test_what_nobody_used_for_days_is_removed_and_no_run(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    outside = written(tmp_path / "outside" / "x.png", 90)
    old = [written(root / ".studio" / name, 15) for name in TEMPORARY]
    old.append(written(root / ".studio" / "captions-a" / "x.json", 15))
    old.append(written(root / ".deleted-1" / "x.png"))
    kept = [written(root / name, 90) for name in KEPT]
    read = written(root / ".studio" / "uploads" / "read" / "x.png", 15)
    os.utime(read, (time.time(), read.stat().st_mtime))  # read today, written long ago
    (root / ".studio" / "uploads" / "link").symlink_to(outside.parent)
    (old[1].parent / "link").symlink_to(outside.parent)
    written(old[1], 15)
    remove_unused(root, disk_space.KEPT_DAYS)
    assert not any(path.parent.exists() for path in old)
    assert all(path.exists() for path in (*kept, read, outside))
    remove_unused(tmp_path / "nowhere", 1)


def test_a_folder_of_the_studio_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    outside = written(tmp_path / "outside" / "a" / "x.png", 90)
    (tmp_path / "runs" / ".studio").mkdir(parents=True)
    (tmp_path / "runs" / ".studio" / "uploads").symlink_to(tmp_path / "outside")
    remove_unused(tmp_path / "runs", 1)
    assert outside.exists()


def test_an_upload_that_does_not_fit_is_refused(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_space(Path("nowhere/yet"), 1)
    with pytest.raises(DiskFullError, match="MB are free, expected"):
        check_space(Path(), 1 << 60)

    for name, value in server.environment(Path("runs")).items():
        monkeypatch.setenv(name, value)
    queue = JobQueue("runs", worker=EndingWorker)
    client = TestClient(server.build(queue), base_url="http://localhost")
    full = shutil.disk_usage(".")._replace(free=disk_space.RESERVE)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    try:
        photo = {"photos": ("a.png", b"pixels")}
        answers = [
            client.post("/gradio_api/upload", files={"files": ("a.png", b"pixels")}),
            client.post("/api/filter", files=photo, data={"classes": "mug"}),
        ]
        for answer in answers:
            assert answer.status_code == 507 and "the disk is full" in answer.json()["detail"]
        with pytest.raises(DiskFullError):
            uploads.receive(queue.root, [("a.png", written(Path("a.png")))])
        assert not list(queue.root.rglob("*.png"))
    finally:
        queue.close()
