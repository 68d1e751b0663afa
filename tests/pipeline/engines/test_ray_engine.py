"""Runs on a Ray cluster of this machine: the pictures of a run without it, whoever dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.command_line import checked
from helpers.reference_run import COUNT, ReferenceRun

from visuals.benchmarks import crash_recovery
from visuals.pipeline.engines.ray_cluster import ClusterError, Pool, connected
from visuals.pipeline.engines.ray_engine import run_on_ray
from visuals.pipeline.engines.ray_worker import WorkerError, WorkerSpec
from visuals.pipeline.inputs import shots
from visuals.pipeline.runner.run import Stages
from visuals.pipeline.runner.summary import Summary
from visuals.pipeline.runs.folder import RunFolder, read_lines
from visuals.pipeline.runs.lock import HOLDER, RunLock
from visuals.pipeline.runs.manifest import ManifestRecord

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("ray") is None, reason="Ray is not installed: pip install 'product-visuals[ray]'"
    ),
]

ON_RAY = ("--engine", "ray", "--workers", "2", "--cpus-per-worker", "1")


@pytest.fixture(autouse=True)
def models(mini: Path) -> Path:
    return mini


@pytest.fixture(scope="module")
def cluster(mini: Path) -> Iterator[str]:
    """A cluster of this machine, and the address that other processes find it at."""
    with connected("local", Pool(workers=2, cpus=1)):
        import ray

        yield ray.get_runtime_context().gcs_address


def ids(folder: Path) -> list[str]:
    return [line["id"] for line in read_lines(folder)]


def kill_a_worker() -> bool:
    """SIGKILL to a worker that has its models; False where none is there just now."""
    for process in psutil.Process().children(recursive=True):
        try:
            if _is_a_worker(process):
                process.kill()
                return True
        except psutil.Error:
            continue
    return False


def _is_a_worker(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[:1] in (["ray::RayWorker"], ["ray::RayWorker.work"])
    except psutil.Error:
        return False


def test_a_worker_killed_three_times_costs_nothing(
    cluster: str, reference_run: ReferenceRun, tmp_path: Path
) -> None:
    """And the run is gone on with by the other engine, either way."""
    whole = shutil.copytree(reference_run.folder, tmp_path / "whole")
    out = tmp_path / "out"
    command = (*reference_run.command, "--sort-by-class")
    checked(*command, "--out", str(whole))
    killed_at: list[int] = []

    def kill() -> None:
        for at in (3, 8, 12):
            while crash_recovery.lines_in(out) < at or not kill_a_worker():
                time.sleep(0.002)
            killed_at.append(crash_recovery.lines_in(out))

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    said = checked(*command, "--out", str(out), *ON_RAY, "--json")
    killer.join(timeout=1)
    assert len(killed_at) == 3 and killed_at[-1] < COUNT, "took no work with it: more photos"
    assert said.stderr.count("a worker died on") == 3
    found = crash_recovery.compare(out, whole)
    assert (found["lines"], found["twice"], found["missing"]) == (COUNT, 0, 0)
    assert (found["files_broken"], found["half_written"]) == (0, 0) and found["files"] > COUNT
    assert found["largest_difference"] == found["lines_that_differ"] == 0
    record = json.loads(said.stdout)
    assert (record["total"], record["failed"]) == (COUNT, 0) and record["seconds_per_stage"]
    names = sorted(p.relative_to(out) for p in (out / "sorted").rglob("*.png"))
    assert names == sorted(p.relative_to(whole) for p in (whole / "sorted").rglob("*.png"))

    for folder, engine in ((out, ()), (whole, ON_RAY[:2])):
        lines = (folder / "manifest.jsonl").read_text().splitlines(keepends=True)
        (folder / "manifest.jsonl").write_text("".join(lines[:-2]) + lines[-2][:30])
        again = json.loads(checked("resume", str(folder), *engine, "--json").stdout)
        assert (again["resumed"], again["total"]) == (COUNT - 2, 2)
    found = crash_recovery.compare(out, whole)
    assert found["lines"] == COUNT and found["lines_that_differ"] == 0


def test_ctrl_c_finishes_what_the_workers_have(
    cluster: str, reference_run: ReferenceRun, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "visuals", *reference_run.command, *ON_RAY, "--address", cluster,
         "--out", str(out)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    while process.poll() is None and not crash_recovery.lines_in(out):
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()[1]
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that hangs on it
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    done = len(ids(out))
    assert 0 < done < COUNT and f"visuals resume {out} goes on: {done} picture" in said
    assert "Traceback" not in said and not list(out.rglob("*.part"))
    assert all((out / line["files"]["source"]).is_file() for line in read_lines(out))


def test_a_driver_that_is_gone_at_once(
    cluster: str, reference_run: ReferenceRun, tmp_path: Path
) -> None:
    """Its own cluster goes with it, and another driver goes on in another cluster."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "visuals", *reference_run.command, *ON_RAY, "--address", "local",
         "--out", str(out)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    while process.poll() is None and crash_recovery.lines_in(out) < 3:
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()[1]
    theirs = list(filter(_is_a_worker, psutil.Process(process.pid).children(recursive=True)))
    assert theirs
    process.kill()
    _, said = process.communicate(timeout=60)
    assert process.returncode == -9 and "Traceback" not in said, said
    _, alive = psutil.wait_procs(theirs, timeout=30)
    assert not alive, alive
    stood = len(ids(out))
    assert 3 <= stood < COUNT
    checked("resume", str(out), *ON_RAY)
    found = crash_recovery.compare(out, reference_run.folder)
    assert (found["lines"], found["twice"], found["missing"]) == (COUNT, 0, 0)
    assert found["lines_that_differ"] == found["files_broken"] == found["half_written"] == 0


# --- without models, for what stands around them


def run_of(
    tmp_path: Path,
    load: Callable[[Sequence[Any]], list[Any]],
    *,
    count: int = 6,
    finish: Callable[[dict[str, Any]], Any] = lambda line: None,
    **changes: Any,
) -> tuple[RunFolder, Summary, list[str]]:
    """`count` photos through two workers with `load` in them; the folder, the counts, and what
    was warned of."""
    crash_recovery.photos(tmp_path / "photos", count, 16)
    out = tmp_path / "out"
    out.mkdir()
    from visuals.configs.schema import load_settings

    settings = load_settings("mini").model_dump(mode="json")
    warned: list[str] = []
    summary = Summary()
    with RunLock(out):
        folder = RunFolder(out, request={}, settings=settings)
        holder = (out / HOLDER).read_text()
        plan = WorkerSpec(settings, (), out, folder.files, Stages(load=load), holder, device="cpu")

        def append(record: ManifestRecord) -> None:
            finish(folder.append(record))

        run_on_ray(
            shots.photos([str(tmp_path / "photos")], ["mug"]),
            plan,
            Pool(2, 0.5, 0.0),
            finish=append,
            give_up=folder.write,
            summary=summary,
            warn=warned.append,
            **{"batch_size": 2, **changes},
        )
    return folder, summary, warned


def test_a_picture_that_kills_its_worker_fails_alone(cluster: str, tmp_path: Path) -> None:
    def load(shots: Sequence[Any]) -> list[Any]:
        import os
        import signal

        from visuals.pipeline.inputs import shots as inputs

        if any(shot.id == "00003" for shot in shots):
            os.kill(os.getpid(), signal.SIGKILL)
        return inputs.load(shots)

    folder, summary, warned = run_of(tmp_path, load)
    lines = {line["id"]: line for line in read_lines(folder.path)}
    assert sorted(lines) == [f"{k:05d}" for k in range(6)] and len(ids(folder.path)) == 6
    assert {k for k, line in lines.items() if line["status"] == "failed"} == {"00003"}
    error = lines["00003"]["error"]
    assert (
        error["where"] == "worker"
        and "3 workers died while working on this picture" in error["message"]
    )
    assert lines["00003"]["content"]["sha256"]
    assert (summary.failed, summary.kept, summary.total) == (1, 5, 6)
    assert len(warned) == 2 and all("tried again" in text for text in warned)


def test_a_folder_that_is_gone_stops_the_run(cluster: str, tmp_path: Path) -> None:
    def unlock(line: dict[str, Any]) -> None:
        (tmp_path / "out" / HOLDER).write_text("another run")

    with pytest.raises(WorkerError, match=r"is not the run's folder here .*expected a disk that"):
        run_of(tmp_path, shots.load, count=30, finish=unlock, batch_size=1)
    assert 0 < len(ids(tmp_path / "out")) < 30


def test_workers_that_die_at_the_start_end_the_run(cluster: str, tmp_path: Path) -> None:
    class Deadly:
        def __reduce__(self) -> Any:
            import os

            return os._exit, (1,)

    with pytest.raises(ClusterError, match="3 workers in a row died while loading"):
        run_of(tmp_path, Deadly())  # type: ignore[arg-type]


def test_workers_that_die_one_after_another_end_the_run(cluster: str, tmp_path: Path) -> None:
    def load(shots: Sequence[Any]) -> list[Any]:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
        return []

    with pytest.raises(ClusterError, match=r"4 workers died one .* killed or crashed"):
        run_of(tmp_path, load, count=8, max_deaths=4)
    assert not ids(tmp_path / "out") and not list((tmp_path / "out").rglob("*.part"))
