"""The run folder: what a line says, torn lines, going on, and files that agree with it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.stand_ins import STAGES, prompted

from visuals.pipeline.images.read import read_image
from visuals.pipeline.inputs.lazy_shots import LazyShots, ShotName
from visuals.pipeline.inputs.resume import remaining
from visuals.pipeline.runner.run import run_shots
from visuals.pipeline.runs import run_yaml
from visuals.pipeline.runs.folder import (
    NAME,
    SHOT_FOLDERS,
    OtherSettingsError,
    RunFolder,
    RunFolderError,
    make,
    read_lines,
    read_records,
    sweep,
)
from visuals.pipeline.runs.inside_path import OutsideError
from visuals.pipeline.runs.lock import RunLock
from visuals.pipeline.runs.object_store import holds, text

KEYS = {
    "id", "input", "content", "prompt", "negative_prompt", "seed", "prediction", "classes", "edit",
    "prompts", "settings", "batch", "status", "reason", "notes", "detections", "files", "metrics",
    "seconds", "error", "run",
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


def of_class(folder: Path, class_: str) -> RunFolder:
    return RunFolder(folder, request={"classes": (class_,), "count": 3}, settings={"a": 1})


def test_lines_know_their_run_where_run_yaml_is_gone(run: RunFolder) -> None:
    record = run.path / "run.yaml"
    record.unlink()
    with pytest.raises(OtherSettingsError, match="pictures of another run"):
        of_class(run.path, "car")
    assert not record.exists()
    again = of_class(run.path, "mug")
    assert len(again.done) == 3 and len(again.done.runs) == 1 and record.exists()


def test_a_manifest_of_another_run_is_refused(run: RunFolder, tmp_path: Path) -> None:
    other = of_class(tmp_path / "other", "car")
    for shot in run_shots([prompted("even", 2)], STAGES):
        other.record(shot)
    (run.path / NAME).write_bytes((run.path / NAME).read_bytes() + (other.path / NAME).read_bytes())
    with pytest.raises(OtherSettingsError, match="pictures of another run"):
        of_class(run.path, "mug")


def test_lines_of_a_version_without_identity_need_their_run_yaml(run: RunFolder) -> None:
    lines = [{k: v for k, v in line.items() if k != "run"} for line in read_lines(run.path)]
    (run.path / NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(of_class(run.path, "mug").done) == 3
    (run.path / "run.yaml").unlink()
    with pytest.raises(OtherSettingsError, match="pictures of another run"):
        of_class(run.path, "mug")


def test_the_identity_stays_while_only_free_settings_change(run: RunFolder) -> None:
    request = {"classes": ("mug",), "count": 5, "inputs": ["elsewhere"]}
    more = RunFolder(run.path, request=request, settings={"a": 1})
    for shot in run_shots([prompted("later", 2)], STAGES):
        more.record(shot)
    again = of_class(run.path, "mug").done
    assert len(again) == 4 and len(again.runs) == 1


@pytest.mark.parametrize("kind", ["source", "mask", "blend", "control", "result", "instance"])
@pytest.mark.parametrize("how", ["gone", "empty", "link", "pipe", "folder"])
def test_shots_without_their_files_are_left(tmp_path: Path, kind: str, how: str) -> None:
    run = made(tmp_path / "run")
    shots = list(run_shots([prompted("a/even", 2), prompted("even", 4)], STAGES))
    shots[0] = replace(shots[0], detections=shots[0].detections * 2, control=shots[0].image)
    first, _ = map(run.record, shots)
    there = holds(run.path)
    assert all(map(there, first.file_names)) and len(first.file_names) == 7
    name = getattr(first.files, kind, first.detections[1].mask)
    path = run.path / str(name)
    path.rename(tmp_path / "moved")
    if how == "empty":
        path.touch()
    elif how == "link":
        path.symlink_to(tmp_path / "moved")
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    if how in ("link", "pipe"):  # a new picture could not take its place
        with pytest.raises(OutsideError, match="is a link, pipe or device"):
            all(map(there, first.file_names))
        return
    names = LazyShots([ShotName("a/even", None), ShotName("even", None)], lambda name: shots[0])
    left = remaining(names, read_records(run.path), there=there)
    assert left.outdated == {"a/even"} and left.done == 1


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("images/even.png", b"mine"),
        ("masks/even.png", b"mine"),
        ("report.html", b"mine"),
        ("notes.txt", b""),
        ("run.yaml", b"name: my program\n"),
        ("run.yaml", b""),
        (NAME, b'{"path": "x.png"}\n{"path": "y.p'),
        (NAME, b"no newline"),
    ],
)
def test_a_folder_that_is_no_run_is_refused_unchanged(
    tmp_path: Path, name: str, data: bytes
) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(RunFolderError, match=r"is no run folder|expected request and settings"):
        made(tmp_path / "mine")
    assert contents(tmp_path / "mine") == {name: data}


@pytest.mark.parametrize(
    "name", [".DS_Store", ".lock", ".run.yaml.x.visuals.part", "Thumbs.db", "desktop.ini"]
)
def test_hidden_files_do_not_make_a_folder_someones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert not made(tmp_path).done


@pytest.mark.parametrize("tail", [b"my last line", b'{"path": "x.p', b"{}"])
def test_an_unfinished_line_of_another_program_is_kept(run: RunFolder, tail: bytes) -> None:
    path = run.path / NAME
    for lines in (path.read_bytes(), b""):
        path.write_bytes(lines + tail)
        with pytest.raises(RunFolderError, match="without a newline"):
            made(run.path, a=1)
        assert path.read_bytes() == lines + tail


@pytest.mark.parametrize("tail", [b"{", b'{"id": "torn", "sta', b"\0\0\0", b"  "])
def test_an_unfinished_line_of_a_run_is_cut(run: RunFolder, tail: bytes) -> None:
    before = (run.path / NAME).read_bytes()
    (run.path / NAME).write_bytes(before + tail)
    assert len(made(run.path, a=1).done) == 3 and (run.path / NAME).read_bytes() == before


def test_blank_lines_are_passed_over(run: RunFolder) -> None:
    before = (run.path / NAME).read_bytes()
    (run.path / NAME).write_bytes(before.replace(b"\n", b"\n\n") + b" \r\n")
    assert len(made(run.path, a=1).done) == 3


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize("name", [NAME, "run.yaml", *SHOT_FOLDERS, ".lock", ".lock.json"])
def test_links_and_pipes_in_a_run_are_refused_before_anything_is_written(
    run: RunFolder, tmp_path: Path, name: str, kind: str
) -> None:
    path = run.path / name
    if path.exists():
        path.rename(tmp_path / "moved")
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "moved")
    before = contents(tmp_path)

    def opened() -> None:  # as runs do
        make(run.path)
        with RunLock(run.path):
            made(run.path, a=1)

    with pytest.raises(OutsideError, match="is a link, pipe or device"):
        opened()
    assert contents(tmp_path) == before
    if name == ".lock.json":
        with pytest.raises(OutsideError):
            text(run.path, name)


def test_a_run_yaml_that_was_edited_is_refused(run: RunFolder) -> None:
    """As the record of a resumed run is read from the file, it agrees with it."""
    path = run.path / "run.yaml"
    written = path.read_text()

    def resumed() -> RunFolder:
        record = run_yaml.read(run.path)
        return RunFolder(run.path, request=record["request"], settings=record["settings"])

    for old, new in (("a: 1", "a: 2"), ("- mug", "- car"), ("a: 1", "a: 1\n  b: 2")):
        path.write_text(written.replace(old, new))
        assert path.read_text() != written
        with pytest.raises(OtherSettingsError, match="was changed since its pictures were made"):
            resumed()
    path.write_text(written.replace("count: 3", "count: 5"))
    assert len(resumed().done) == 3
    path.write_text(written.replace("a: 1", "a: 2"))
    (run.path / NAME).unlink()
    assert not resumed().done


def test_a_run_that_another_version_recorded_goes_on(run: RunFolder) -> None:
    """Settings that are new since then are added; its lines keep their identity."""
    path = run.path / "run.yaml"
    record = run_yaml.read(run.path)
    record["request"]["later"] = None
    record["settings"], record["identity"] = {"a": 1}, "of-that-version"
    record["versions"]["visuals"], record["digest"] = "0.0.1", "of-that-version"
    run_yaml.write(run.path, record)
    lines = (run.path / NAME).read_text()
    (run.path / NAME).write_text(lines.replace(run.done["odd"].run or "", "of-that-version"))
    for _ in range(2):  # by then, this version has recorded it
        assert made(run.path, a=1).done.runs == {"of-that-version"}
    path.write_text(path.read_text().replace("a: 1", "a: 2"))
    with pytest.raises(OtherSettingsError, match="was changed"):
        made(run.path, a=2)
