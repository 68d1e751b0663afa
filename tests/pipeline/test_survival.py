"""Runs that are killed, stopped, refused by the disk or asked for twice; in processes of their own
where signals and limits are in play."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.command_line import EVERYTHING, checked
from helpers.reference_run import COUNT, ReferenceRun
from helpers.stand_ins import find

from visuals.benchmarks import crash_recovery
from visuals.checkpoints import atomic_files
from visuals.pipeline.images.write import encode_png
from visuals.pipeline.inputs import shots as inputs
from visuals.pipeline.runner.io_threads import BackgroundWriter
from visuals.pipeline.runner.run import Stages, run_shots
from visuals.pipeline.runs.folder import NAME, RunFolder, read_lines
from visuals.pipeline.runs.lock import RunLock
from visuals.stages.stage import FunctionStage

pytestmark = pytest.mark.usefixtures("loaded_models")

FILTER = ("--class", "mug", *EVERYTHING)


@pytest.fixture(autouse=True)
def models(mini: Path) -> Path:
    return mini


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    crash_recovery.photos(tmp_path / "photos", 6, 64)
    return tmp_path / "photos"


def filtered(photos: Path, out: Path, *options: str, code: int = 0) -> Any:
    return checked("filter", str(photos), *FILTER, "--out", str(out), *options, code=code)


def ids(folder: Path) -> list[str]:
    return [line["id"] for line in read_lines(folder)]


def cut(folder: Path, keep: int) -> None:
    """The folder as a kill would leave it after `keep` pictures: a torn line, a half file."""
    whole = (folder / NAME).read_text().splitlines(keepends=True)
    (folder / NAME).write_text("".join(whole[:keep]) + whole[keep][:40])
    (folder / "masks" / ".00005.png.x.visuals.part").write_bytes(b"half")


# --- killed


@pytest.mark.slow
def test_killed_three_times_it_ends_as_if_it_had_not_been(
    tmp_path: Path, mini_is_trained: bool
) -> None:
    count, kills = (200, 20) if os.environ.get("VISUALS_SURVIVE") else (24, 3)
    everything = [] if mini_is_trained else list(FILTER[2:])
    found = crash_recovery.survive(tmp_path, count=count, kills=kills, arguments=everything)
    assert len(found["killed_at"]) == kills
    assert (found["lines"], found["twice"], found["missing"]) == (count, 0, 0)
    assert (found["files_broken"], found["half_written"]) == (0, 0) and found["files"] > count
    assert found["largest_difference"] == 0 and found["lines_that_differ"] == 0


# --- resumed


def test_resume_needs_no_more_than_the_folder(photos: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    for place in (whole, out):
        filtered(photos, place, "--batch-size", "1", "--sort-by-class")
    cut(out, 2)
    sorted_before = sorted(p.name for p in (out / "sorted").rglob("*.png"))
    for path in (out / "sorted").rglob("*.png"):
        path.unlink()
    said = json.loads(checked("resume", str(out), "--json").stdout)
    assert said["resumed"] == 2 and said["total"] == 4
    assert ids(out) == ids(whole) and not list(out.rglob("*.part"))
    assert sorted(p.name for p in (out / "sorted").rglob("*.png")) == sorted_before
    found = crash_recovery.compare(out, whole)
    assert found["largest_difference"] == found["lines_that_differ"] == 0, found
    again = json.loads(checked("resume", str(out), "--json").stdout)
    assert again["resumed"] == 6 and again["total"] == 0


def test_photos_that_moved_and_were_added(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    filtered(photos, out)
    moved = photos.rename(tmp_path / "elsewhere")
    (moved / "00000.png").rename(moved / "renamed.png")
    atomic_files.write(moved / "new.png", encode_png(np.full((64, 64, 3), 90, np.uint8)))
    (moved / "00001.png").write_bytes((moved / "00002.png").read_bytes())
    checked("resume", str(out), code=2)
    said = json.loads(checked("resume", str(out), str(moved), "--json").stdout)
    assert said["resumed"] == 5 and said["total"] == 2
    assert sorted(ids(out)) == [*(f"{k:05d}" for k in range(6)), "new"]


def test_a_folder_that_holds_no_run(tmp_path: Path) -> None:
    said = checked("resume", str(tmp_path), code=2).stderr
    assert "is no run folder: expected run.yaml" in said


def test_other_settings_are_named_and_refused_or_forked(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    filtered(photos, out)
    said = filtered(photos, out, "--mask-k", "1", "--seed", "5", code=2).stderr
    assert "mask.mask_k: 0 → 1" in said or "mask.mask_k: none → 1" in said
    assert "run.seed: 0 → 5" in said and "--fork" in said
    assert [line for line in said.splitlines() if "warning" not in line] == [said.splitlines()[-1]]
    (tmp_path / "out-2").mkdir()
    (tmp_path / "out-2" / "mine.txt").write_text("mine")
    monkeypatch.chdir(out)
    for place, resumed in ((out, 0), (Path("."), 6)):
        forked = filtered(photos, place, "--seed", "5", "--fork", "--json")
        record = json.loads(forked.stdout)
        assert record["folder"] == f"{out}-3" and record["resumed"] == resumed
    filtered(photos, out, "--fork", "--batch-size", "2")
    assert os.listdir(tmp_path / "out-2") == ["mine.txt"]
    assert not (tmp_path / "out-4").exists() and len(ids(out)) == 6


def test_the_folder_of_an_older_version_goes_on(photos: Path, tmp_path: Path) -> None:
    """It lacks settings that are at their defaults, a control that leads nothing, fingerprints."""
    out = tmp_path / "out"
    filtered(photos, out)
    record = yaml.safe_load((out / "run.yaml").read_text())
    for section, name in (
        ("rerender", "color_correction"),
        ("generate", "hires"),
        ("run", "quality"),
    ):
        del record["settings"][section][name]
    del record["settings"]["controls"]["depth"], record["settings"]["caption"]
    record["versions"]["visuals"] = "0.0.1"
    record["checkpoints"] = {
        k: v for k, v in record["checkpoints"].items() if "lora:" not in k and "canny" not in k
    }
    (out / "run.yaml").write_text(yaml.safe_dump(record))
    cut(out, 3)
    filtered(photos, out)
    assert len(set(ids(out))) == 6
    record["checkpoints"]["mini/sam"] = "sha256:other"
    del record["settings"]["detect"]["box_threshold"]
    (out / "run.yaml").write_text(yaml.safe_dump(record))
    said = filtered(photos, out, code=2).stderr
    assert "settings.detect.box_threshold: 0.35 → 0" in said
    assert "checkpoints.mini/sam: sha256:other → sha256:" in said


def test_failed_ones_are_tried_again(photos: Path, tmp_path: Path) -> None:
    out, good = tmp_path / "out", (photos / "00003.png").read_bytes()
    (photos / "00003.png").write_bytes(good[:100])
    filtered(photos, out)
    line = next(line for line in read_lines(out) if line["id"] == "00003")
    assert line["status"] == "failed" and set(line["error"]) == {"kind", "message", "where"}
    again = json.loads(checked("resume", str(out), "--retry-failed", "--json", code=1).stdout)
    assert again["failed"] == 1 and again["resumed"] == 5
    (photos / "00003.png").write_bytes(good)
    said = json.loads(checked("resume", str(out), "--retry-failed", "--json").stdout)
    assert said["total"] == 1 and said["failed"] == 0
    assert sorted(ids(out)) == [f"{k:05d}" for k in range(6)]


def test_a_second_writer_is_kept_out(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with RunLock(out):
        said = filtered(photos, out, code=2).stderr
    assert f"is being written to by process {os.getpid()} on" in said and said.count("\n") == 1
    filtered(photos, out)
    assert len(ids(out)) == 6


# --- stopped


def started(run: ReferenceRun, out: Path) -> subprocess.Popen[str]:
    """A filter run in a process of its own, once it has finished a picture."""
    process = subprocess.Popen(
        [sys.executable, "-m", "visuals", *run.command, "--out", str(out)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    while process.poll() is None and not crash_recovery.lines_in(out):
        time.sleep(0.005)
    return process


@pytest.mark.slow
def test_ctrl_c_finishes_what_is_in_hand(reference_run: ReferenceRun, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(reference_run, out)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    done = len(ids(out))
    assert 0 < done < COUNT and f"visuals resume {out} goes on: {done} picture" in said
    assert "Traceback" not in said and not list(out.rglob("*.part"))
    assert all((out / line["files"]["source"]).is_file() for line in read_lines(out))


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_second_ctrl_c_stops_at_once(threads: str, tmp_path: Path) -> None:
    """In the middle of a model call that takes minutes, whichever thread makes it."""
    out = tmp_path / "out"
    lines = ["--prompt mug --steps 1"] * 4 + ["--prompt mug --steps 500"] * 4
    (tmp_path / "prompts.txt").write_text("\n".join(lines))
    process = subprocess.Popen(
        [sys.executable, "-m", "visuals", "generate", "--prompts", str(tmp_path / "prompts.txt"),
         "--batch-size", "4", "--out", str(out)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "OMP_NUM_THREADS": threads},
    )  # fmt: skip
    while process.poll() is None and crash_recovery.lines_in(out) < 4:
        time.sleep(0.01)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None, process.communicate()[1]
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == 130 and "Traceback" not in said, said
    assert f"stopped; visuals resume {out} goes on: 4 pictures are done and kept\n" in said
    assert not list(out.rglob("*.part")) and not (out / ".lock.json").exists()
    assert len(ids(out)) == 4
    assert "4 to do" in checked("resume", str(out), "--dry-run").output


# --- the disk


LIMITED = """
import resource, sys
from visuals.pipeline.cli import main
import visuals.pipeline.runner.run as run
real = run.run_shots
def limited(*args, **kwargs):
    for number, shot in enumerate(real(*args, **kwargs)):
        if number == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        yield shot
run.run_shots = limited
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_disk_that_takes_no_more(photos: Path, tmp_path: Path) -> None:
    """A limit on file sizes from the fourth picture on stands for the full disk."""
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "filter", str(photos), *FILTER, "--batch-size", "1",
         "--out", str(out)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert f"cannot write to {out}: File too large" in last
    kept = len(ids(out))
    assert 0 < kept <= 3 and f"visuals resume {out} goes on: {kept} picture" in last
    checked("resume", str(out))
    assert len(set(ids(out))) == len(ids(out)) == 6


@pytest.mark.slow
def test_a_folder_moved_away_in_mid_run(reference_run: ReferenceRun, tmp_path: Path) -> None:
    out, away = tmp_path / "out", tmp_path / "away"
    process = started(reference_run, out)
    out.rename(away)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1 and "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert f"cannot write to {out}: the folder was removed or replaced in mid-run; put it" in last
    assert not out.exists()
    away.rename(out)
    done = len(ids(out))
    said = json.loads(checked("resume", str(out), "--json").stdout)
    assert 0 < done < COUNT and (said["resumed"], said["total"]) == (done, COUNT - done)


def test_a_place_that_cannot_be_written(photos: Path, tmp_path: Path) -> None:
    """A folder of that name stands for what an administrator may do."""
    out = tmp_path / "out"
    filtered(photos, out)
    for name in ("images/00003.png", ".lock.json", "run.yaml", "manifest.jsonl"):
        cut(out, 2)
        (out / name).unlink(missing_ok=True)
        (out / name).mkdir()
        said = filtered(photos, out, "--batch-size", "1", code=1).stderr.strip().splitlines()[-1]
        assert said.startswith(f"visuals: cannot write to {out}"), name
        (out / name).rmdir()
        again = json.loads(filtered(photos, out, "--json").stdout)
        assert again["resumed"] + again["total"] == 6 and len(set(ids(out))) == 6


def test_a_folder_removed_in_mid_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", request={}, settings={})
    (folder.path / "run.yaml").unlink()
    (shot,) = run_shots(inputs.prompted(["mug"], 1, prompt="x"), Stages())
    with pytest.raises(OSError, match="removed or replaced in mid-run"):
        folder.record(shot)
    assert not (folder.path / NAME).exists()


def test_a_line_that_did_not_fit_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    folder = RunFolder(tmp_path / "run", request={}, settings={})
    first, second = run_shots(inputs.prompted(["mug"], 2, prompt="x"), Stages())
    folder.record(first)
    whole = (folder.path / NAME).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write to .*run: File too large"):
            folder.append(folder.write(replace(second, notes=("x" * 100,))))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (folder.path / NAME).read_bytes() == whole
    folder.record(second)
    assert ids(folder.path) == [first.id, second.id]


# --- memory


def test_batch_sizes_that_fitted_are_kept(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    filtered(photos, out)
    folder = RunFolder(out, **_parts(out))
    folder.note_batch_size("detect", 3)
    assert RunFolder(out, **_parts(out)).batch_sizes == {"detect": 3}
    assert yaml.safe_load((out / "run.yaml").read_text())["batch_sizes"] == {"detect": 3}


def _parts(out: Path) -> dict[str, Any]:
    record = yaml.safe_load((out / "run.yaml").read_text())
    return {key: record[key] for key in ("request", "settings", "checkpoints")}


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Path]:
    image = np.zeros((64, 64, 3), np.uint8)
    image[2:6, 2:6, 0] = 255
    data = encode_png(image)
    (tmp_path / "many").mkdir()
    for number in range(800):
        (tmp_path / "many" / f"{number:04d}.png").write_bytes(data)
    yield tmp_path / "many"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_pictures(many: Path, tmp_path: Path) -> None:
    """With one finished picture of 64 × 64 held, 600 of them would be 20 MB more."""
    folder = RunFolder(tmp_path / "run", request={}, settings={})
    shots = inputs.photos([str(many)], ["mug"])
    held = []
    tracemalloc.start()
    try:
        stages = Stages(load=inputs.load, detect=FunctionStage(find))
        with BackgroundWriter(folder.write, folder.append, depth=4) as sink:
            for number, shot in enumerate(run_shots(shots, stages, batch_size=4)):
                sink.put(shot)
                if number in (200, 799):
                    held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert len(folder.done) == 800 and held[1] - held[0] < 600_000, held
