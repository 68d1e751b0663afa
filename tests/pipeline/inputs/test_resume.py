"""Which shots are done: by path, by content, by id; and that names only are held."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from visuals.pipeline.inputs import resume, shots
from visuals.pipeline.inputs.resume import remaining
from visuals.pipeline.runs.manifest import ManifestRecord


def photos(folder: Path, **files: bytes) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / f"{name}.png").write_bytes(data)


def lines(folder: Path, **status: str) -> list[dict[str, Any]]:
    """The lines of a run that took every photo of a folder."""
    return [
        {
            "id": name.id,
            "seed": 1,
            "input": name.path,
            "status": status.get(name.id, "kept"),
            "content": resume.content(str(name.path)),
        }
        for name in shots.photos([str(folder)], ["mug"]).names
    ]


def left(folder: Path, done: list[dict[str, Any]], **options: Any) -> resume.Remaining:
    records = map(ManifestRecord.from_dict, done)
    return remaining(shots.photos([str(folder)], ["mug"]), records, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos(tmp_path / "p", a=b"first", b=b"other", c=b"third")
    return tmp_path / "p"


def test_what_is_done_is_not_done_again(folder: Path) -> None:
    done = lines(folder)
    assert left(folder, done).done == 3 and not left(folder, done).shots
    some = left(folder, done[:2])
    assert [shot.id for shot in some.shots] == ["c"] and some.done == 2


def test_a_renamed_and_a_moved_file_are_done(folder: Path, tmp_path: Path) -> None:
    done = lines(folder)
    (folder / "a.png").rename(folder / "z.png")
    (folder / "deep").mkdir()
    (folder / "b.png").rename(folder / "deep" / "b.png")
    assert not left(folder, done).shots
    moved = folder.rename(tmp_path / "elsewhere")
    assert not left(moved, done).shots and left(moved, done).done == 3


def test_an_added_file_is_left_even_where_its_bytes_are_known(folder: Path) -> None:
    done = lines(folder)
    photos(folder, d=b"first", e=b"fresh")  # d is a's twin: a keeps its line
    assert [shot.id for shot in left(folder, done).shots] == ["d", "e"]


def test_a_file_of_the_same_stem_takes_no_finished_name(folder: Path) -> None:
    done = lines(folder)
    (folder / "a.jpg").write_bytes(b"a jpeg")
    some = left(folder, done)
    assert [shot.id for shot in some.shots] == ["a_jpg"] and not some.outdated


def test_changed_content_is_made_again_under_its_name(folder: Path) -> None:
    done = lines(folder)
    photos(folder, b=b"quite another")
    some = left(folder, done)
    assert [shot.id for shot in some.shots] == ["b"] and some.outdated == {"b"}


def test_a_touched_file_is_the_same(folder: Path) -> None:
    done = lines(folder)
    os.utime(folder / "a.png", (1, 1))
    assert not left(folder, done).shots


def test_a_name_that_went_to_another_picture_gets_a_number(folder: Path) -> None:
    done = lines(folder)
    (folder / "a.png").rename(folder / "z.png")
    photos(folder, a=b"newcomer")
    some = left(folder, done)
    assert [shot.id for shot in some.shots] == ["a_2"] and not some.outdated
    again = [*done, {**done[0], "id": "a_2", "content": resume.content(folder / "a.png")}]
    again[-1]["input"] = str(folder / "a.png")
    assert not left(folder, again).shots


def test_failed_ones_are_left_when_asked_for(folder: Path) -> None:
    done = lines(folder, b="failed")
    assert not left(folder, done).shots
    some = left(folder, done, retry_failed=True)
    assert [shot.id for shot in some.shots] == ["b"] and some.outdated == {"b"}


def test_an_earlier_versions_lines_go_by_path(folder: Path) -> None:
    done = [{k: v for k, v in line.items() if k != "content"} for line in lines(folder)]
    assert not left(folder, done).shots


def test_drawn_shots_go_by_id_and_more_can_be_asked_for() -> None:
    done = [ManifestRecord(id=f"mug-000{k}", seed=k, status="kept") for k in (1, 3)]
    some = remaining(shots.prompted(["mug"], 5, prompt="a {class}"), done)
    assert [shot.id for shot in some.shots] == ["mug-0002", "mug-0004", "mug-0005"]


def test_the_seed_goes_with_the_content(folder: Path) -> None:
    before = {s.id: s.seed for s in shots.load(list(shots.photos([str(folder)], [])), run_seed=7)}
    (folder / "a.png").rename(folder / "z.png")
    after = {s.id: s.seed for s in shots.load(list(shots.photos([str(folder)], [])), run_seed=7)}
    assert after["z"] == before["a"] and len(set(after.values())) == 3


def test_no_plain_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OSError, match="no plain file"):
        resume.content(tmp_path / "pipe.png")
