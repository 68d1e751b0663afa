"""Run folders of the studio: listed, in brief, by small pictures, deleted; none outside touched."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from visuals.configs.errors import RunFolderError
from visuals.pipeline.runs.lock import RunLock, RunLockedError
from visuals.pipeline.web.files import run_folders, run_overview, thumbnails
from visuals.pipeline.web.files.run_folders import RunNotFoundError

REQUEST = {"command": "run", "needs": [], "classes": ["mug"], "count": 1, "edit": "red leather"}


def write_run(root: Path, name: str, *shots: dict[str, Any], **request: Any) -> Path:
    """A run folder with a picture a shot and a report."""
    folder = root / name
    (folder / "images").mkdir(parents=True)
    record = {"request": {**REQUEST, **request}, "settings": {"run": {"seed": 5}}}
    (folder / "run.yaml").write_text(json.dumps(record))
    lines = [{"seed": 1, "status": "kept", "classes": ["mug"], **shot} for shot in shots]
    for line in lines:
        line.setdefault("files", {"source": f"images/{line['id']}.png"})
        if line["files"].get("source"):
            Image.new("RGB", (600, 300), "red").save(folder / line["files"]["source"])
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "report.html").write_text("")
    return folder


def test_an_overview_names_what_a_run_is(tmp_path: Path) -> None:
    shots = [{"id": f"s{k}", "status": "skipped"} for k in range(3)]
    run = write_run(tmp_path, "a", *shots, {"id": "k"}, edit="")
    seen = run_overview.overview(tmp_path, "a")
    assert (seen.command, seen.classes, seen.seed) == ("run", ("mug",), 5)
    assert seen.counts == {"skipped": 3, "kept": 1}
    photos = {"inputs": ["photos"]}
    for name, command, seed in (("b", "enhance", 5), ("c", "filter", None)):
        write_run(tmp_path, name, {"id": "k"}, command=command, **photos)
        assert run_overview.overview(tmp_path, name).seed == seed
    assert seen.pictures == ("k",) and seen.finished  # the skipped ones only where no other is
    (run / "report.html").unlink()
    assert not run_overview.overview(tmp_path, "a").finished
    (run / "manifest.jsonl").unlink()  # stopped before the first picture
    assert run_overview.overview(tmp_path, "a").counts == {}
    (run / "run.yaml").write_text("- a list")
    assert "expected request" in run_overview.overview(tmp_path, "a").problem


def test_runs_are_found_newest_first_by_their_words(tmp_path: Path) -> None:
    for name in ("old", "new"):
        write_run(tmp_path, name, {"id": "a"}, edit=f"{name} leather")
    (tmp_path / "a-grid").mkdir()
    (tmp_path / "a-grid" / "grid.json").write_text("{}")
    assert [run.id for run in run_overview.find(tmp_path)] == ["new", "old"]
    assert [run.id for run in run_overview.find(tmp_path, "MUG old")] == ["old"]
    assert not list(run_overview.find(tmp_path, "bottle"))
    (tmp_path / "old" / "annotations").mkdir()  # as a zip does: the order stays
    assert run_folders.ids(tmp_path) == ["new", "old"]


def test_a_thousand_runs_are_listed_in_a_second(tmp_path: Path) -> None:
    for number in range(1000):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        (folder / "run.yaml").write_text(json.dumps({"request": REQUEST, "settings": {}}))
        (folder / "manifest.jsonl").write_text('{"id": "a", "seed": 1, "status": "kept"}\n')
    began = time.process_time()
    assert len([run for run, _ in zip(run_overview.find(tmp_path), range(25), strict=False)]) == 25
    assert not list(run_overview.find(tmp_path, "nothing"))
    assert time.process_time() - began < 1


def test_small_pictures_are_made_once_and_of_the_run_alone(tmp_path: Path) -> None:
    root, secret = tmp_path / "runs", tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    run = write_run(
        root, "a", {"id": "in"}, {"id": "out", "files": {}, "input": str(secret)},
        {"id": "link", "files": {"result": "images/link.png"}},
    )  # fmt: skip
    (run / "images" / "link.png").symlink_to(secret)
    small = run_overview.thumbnail(root, "a", "in")
    assert small.is_relative_to(root / ".studio")
    with Image.open(small) as image:
        assert (image.size, image.format) == ((256, 128), "JPEG")
    made = small.stat().st_mtime_ns
    assert run_overview.thumbnail(root, "a", "in").stat().st_mtime_ns == made
    for shot in ("out", "link", "../a", "nothing", "\0", "\ud800"):
        with pytest.raises(RunNotFoundError):
            run_overview.thumbnail(root, "a", shot)
    (run / "images" / "in.png").write_text("no picture")
    with pytest.raises(ValueError, match="in"):
        run_overview.thumbnail(root, "a", "in")


def test_a_run_is_deleted_with_its_small_pictures_and_nothing_else(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    run = write_run(root, "a", {"id": "in"})
    write_run(root, "b", {"id": "in"})
    elsewhere.mkdir()
    (elsewhere / "kept.txt").write_text("")
    (run / "link").symlink_to(elsewhere)
    run_overview.thumbnail(root, "a", "in")
    run_folders.delete(root, "a")
    assert run_folders.ids(root) == ["b"] and (elsewhere / "kept.txt").is_file()
    assert not thumbnails.folder(root, "a").exists()
    assert sorted(p.name for p in root.iterdir()) == [".studio", "b"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".studio",
        "../outside",
        "b/../b",
        "b/",
        "/etc",
        "a\0b",
        "\ud800",
        "grid",
        "up",
    ],
)
def test_what_is_no_run_is_not_deleted(name: str, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for kept in (root / "b", tmp_path / "outside", root / ".studio"):
        write_run(kept.parent, kept.name)
    (root / "grid").mkdir()
    (root / "up").symlink_to(tmp_path / "outside")
    with pytest.raises(RunNotFoundError):
        run_folders.delete(root, name)
    with pytest.raises(RunNotFoundError):  # nor read
        run_folders.file(root, name, "run.yaml")
    assert run_folders.ids(root) == ["b"]
    assert (root / "b" / "run.yaml").is_file() and (tmp_path / "outside" / "run.yaml").is_file()
    assert (root / "grid").is_dir() and (root / ".studio").is_dir()


def test_a_folder_that_is_written_to_or_another_program_s_is_not_deleted(tmp_path: Path) -> None:
    run = write_run(tmp_path, "a")
    with RunLock(run), pytest.raises(RunLockedError):
        run_folders.delete(tmp_path, "a")
    (run / "run.yaml").write_text("name: of another program")
    with pytest.raises(RunFolderError):
        run_folders.delete(tmp_path, "a")
    assert run.is_dir()
