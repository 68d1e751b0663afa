"""The run folder: what a line says, torn lines, going on, and files that agree with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.stand_ins import STAGES, prompted

from visuals.pipeline.images.read import read_image
from visuals.pipeline.runner.run import run_shots
from visuals.pipeline.runs.folder import NAME, RunFolder, RunFolderError, read_lines, sweep

KEYS = {
    "id", "input", "content", "prompt", "negative_prompt", "seed", "prediction", "classes", "edit",
    "prompts", "settings", "batch", "status", "reason", "notes", "detections", "files", "metrics",
    "seconds", "error",
}  # fmt: skip


def made(folder: Path, **settings: Any) -> RunFolder:
    return RunFolder(folder, request={"classes": ("mug",), "count": 3}, settings=settings)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = made(tmp_path / "run", a=1)
    shots = [prompted("a/even", 2), prompted("odd", 1), prompted("bad", 13)]
    for shot in run_shots(shots, STAGES, batch_size=1):
        folder.record(shot)
    return folder


def test_lines_hold_what_the_design_says(run: RunFolder) -> None:
    lines = {line["id"]: line for line in read_lines(run.path)}
    assert all(set(line) == KEYS for line in lines.values())
    even = lines["a/even"]
    assert (even["status"], even["prompt"], even["input"]) == ("enhanced", "a mug", None)
    assert even["detections"] == [
        {
            "label": "mug",
            "score": 0.9,
            "box_xyxy": [2.0, 2.0, 6.0, 6.0],
            "mask_area": 16,
            "mask_score": 0.95,
            "verify_score": None,
            "mask": "masks/a/even.png",
        }
    ]
    assert even["metrics"]["changed_outside"] == 0
    assert lines["odd"]["reason"]["code"] == "no_detection"
    assert lines["bad"]["error"]["where"] == "generate" and lines["bad"]["status"] == "failed"


def test_files_agree_where_blend_is_zero(run: RunFolder) -> None:
    files = run.done["a/even"].files
    source, result, blend = (
        read_image(run.path / str(getattr(files, k))).rgb for k in ("source", "result", "blend")
    )
    mask = read_image(run.path / str(files.mask)).rgb[..., 0]
    assert set(np.unique(mask)) == {0, 255} and (mask > 0).sum() == 16
    outside = blend[..., 0] == 0
    assert np.array_equal(source[outside], result[outside])
    assert not np.array_equal(source, result)
    assert not list(run.path.rglob("*.part"))


def test_it_moves_and_goes_on(run: RunFolder, tmp_path: Path) -> None:
    moved = run.path.rename(tmp_path / "elsewhere")
    assert set(made(moved, a=1).done) == {"a/even", "odd", "bad"}
    with pytest.raises(RunFolderError, match=r"settings\.a"):
        made(moved, a=2)


def test_a_torn_last_line_is_dropped_and_overwritten(run: RunFolder) -> None:
    with (run.path / NAME).open("ab") as file:
        file.write(b'{"id": "torn", "sta')
    again = made(run.path, a=1)
    assert "torn" not in again.done
    (shot,) = run_shots([prompted("later", 2)], STAGES)
    again.record(shot)
    assert [line["id"] for line in read_lines(run.path)][-1] == "later"


def test_a_broken_line_in_the_middle_is_said(run: RunFolder) -> None:
    path = run.path / NAME
    path.write_text("not json\n" + path.read_text())
    with pytest.raises(RunFolderError, match="line 1: not JSON"):
        list(read_lines(run.path))


def test_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(RunFolderError, match="is a file"):
        made(tmp_path / "x")


def test_numbers_that_json_lacks_become_null(run: RunFolder) -> None:
    (shot,) = run_shots([prompted("nan", 2)], STAGES)
    run.record(shot.with_metrics(edge_iou=float("nan"), big=np.float32(2)))
    raw = (run.path / NAME).read_text().splitlines()[-1]
    assert json.loads(raw)["metrics"] == {"changed_outside": 0, "edge_iou": None, "big": 2.0}


@pytest.mark.parametrize(
    "folder", ["", "images", "masks/shop", "skipped/too_small", "mine", "link"]
)
@pytest.mark.parametrize(
    "name",
    [
        ".iso-download.part",
        ".movie.download.part",
        "a.visuals.part",
        ".00005.png.abcd1234.part",
        ".00005.png.abcd1234.visuals.part",
    ],
)
def test_only_unfinished_files_of_the_run_are_swept(tmp_path: Path, folder: str, name: str) -> None:
    run = tmp_path / "run"
    (tmp_path / "elsewhere").mkdir()
    run.mkdir()
    (run / "sources").symlink_to(tmp_path / "elsewhere")
    place = tmp_path / "elsewhere" if folder == "link" else run / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text("half")
    sweep(run)
    ours = name == ".00005.png.abcd1234.visuals.part" and folder not in ("mine", "link")
    assert (place / name).exists() != ours


def test_deep_nesting_is_an_error_of_the_file(run: RunFolder) -> None:
    deep = "[" * 100_000
    (run.path / NAME).write_text(deep + "\n")
    with pytest.raises(RunFolderError, match="line 1: not JSON"):
        list(read_lines(run.path))
    (run.path / "run.yaml").write_text(f"a: {deep[:3000]}")
    with pytest.raises(RunFolderError, match="not YAML"):
        made(run.path, a=1)
