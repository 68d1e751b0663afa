"""Folders captioned: what is missing is asked for, what is there is kept, nothing is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from visuals.training.captioning.caption_folder import caption_dataset
from visuals.training.datasets.caption_edits import CaptionEdits
from visuals.training.datasets.dataset_folder import DatasetError, read_dataset

TAG = CaptionEdits(tag="new")


def folder(place: Path, **captions: str | None) -> Path:
    """Pictures whose red tells them apart, with `.txt` sidecars."""
    for number, (name, caption) in enumerate(captions.items()):
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number * 10, 0, 0)).save(place / f"{name}.png")
        if caption is not None:
            (place / f"{name}.txt").write_text(caption)
    return place


def describe(images: Sequence[Image.Image]) -> list[str]:
    return [f"picture {image.getpixel((0, 0))[0] // 10}" for image in images]  # type: ignore[index]


def texts(place: Path) -> dict[str, str]:
    return {p.stem: p.read_text().strip() for p in sorted(place.glob("*.txt")) if p.is_file()}


def test_what_is_missing_is_captioned_and_what_is_there_is_kept(tmp_path: Path) -> None:
    place = folder(tmp_path, a="mine", b=None, c="", d=None)
    (tmp_path / "d.png").write_bytes(b"no picture")
    done = caption_dataset(read_dataset(place), describe, edits=TAG, batch_size=2)
    assert texts(place) == {"a": "mine", "b": "new, picture 1", "c": "new, picture 2"}
    assert (len(done.changes), done.kept, [p.code for p in done.problems]) == (2, 1, ["unreadable"])
    done = caption_dataset(read_dataset(place), describe, edits=TAG, overwrite=True)
    assert texts(place)["a"] == "new, picture 0" and done.kept == 2


def test_a_stopped_call_goes_on(tmp_path: Path) -> None:
    place = folder(tmp_path, **dict.fromkeys("abcdef"))
    asked: list[int] = []

    def stops(images: Sequence[Image.Image]) -> list[str]:
        asked.append(len(images))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return describe(images)

    for name in ("txt", "metadata"):
        place = folder(tmp_path / name, **dict.fromkeys("abcdef"))
        asked.clear()
        with pytest.raises(KeyboardInterrupt):
            caption_dataset(read_dataset(place), stops, edits=TAG, batch_size=2, format=name)  # type: ignore[arg-type]
        assert [i.name for i in read_dataset(place).items if i.caption] == ["a.png", "b.png"]
        caption_dataset(read_dataset(place), stops, edits=TAG, batch_size=2, format=name)  # type: ignore[arg-type]
        assert sum(asked) == 8 and len(asked) == 4
        captions = [item.caption for item in read_dataset(place).items]
        assert captions == [f"new, picture {k}" for k in range(6)]


def test_metadata_keeps_its_other_keys(tmp_path: Path) -> None:
    place = folder(tmp_path, a=None, b=None)
    lines = [{"file_name": "a.png", "text": None, "sku": "A"}, {"file_name": "gone.png", "size": 3}]
    (place / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    caption_dataset(read_dataset(place), describe, edits=TAG)
    rows = [json.loads(line) for line in (place / "metadata.jsonl").read_text().splitlines()]
    assert rows == [
        {"file_name": "a.png", "text": "new, picture 0", "sku": "A", "size": None},
        {"file_name": "gone.png", "text": None, "sku": None, "size": 3},
        {"file_name": "b.png", "text": "new, picture 1", "sku": None, "size": None},
    ]
    assert not texts(place)


def test_metadata_with_a_broken_line_is_not_written_again(tmp_path: Path) -> None:
    place = folder(tmp_path, a=None)
    (place / "metadata.jsonl").write_text('{"file_name": "a.png"}\n{half')
    with pytest.raises(DatasetError, match="line 2: not JSON"):
        caption_dataset(read_dataset(place), describe, edits=TAG)
    assert (place / "metadata.jsonl").read_text().endswith("{half")


OBSTACLES = ("folder", "pipe", "link", "broken link", "link to a folder")


def obstruct(path: Path, kind: str) -> None:
    """Put something at the path that is no regular file; a link leads to a caption."""
    if kind == "folder":
        (path / "inner").mkdir(parents=True)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        target = path.with_name(f".{kind}")
        if kind == "link":
            target.write_text("" if path.suffix == ".txt" else '{"file_name": "b.png"}\n')
        elif kind == "link to a folder":
            target.mkdir()
        path.symlink_to(target)


def kind_and_text(path: Path) -> tuple[int, str]:
    return path.lstat().st_mode, path.read_text() if path.is_file() else ""


@pytest.mark.parametrize("kind", OBSTACLES)
@pytest.mark.parametrize("name", ["b.txt", "metadata.jsonl"])
def test_what_is_no_regular_file_is_named_and_stays(tmp_path: Path, name: str, kind: str) -> None:
    """Once, a folder ended the captioning, and pipes and links were replaced by files."""
    place = folder(tmp_path / "set", a=None, b=None, c=None)
    obstruct(place / name, kind)
    before = kind_and_text(place / name)
    for folder_name in ("d.png", "masks/a.png", "a.caption"):
        (place / folder_name).mkdir(parents=True)
    format_: Any = "metadata" if name == "metadata.jsonl" else "txt"
    done = caption_dataset(read_dataset(place), describe, edits=TAG, batch_size=2, format=format_)
    failed = [p for p in done.problems if p.code == "not_written"]
    expected = ["b.png"] if name == "b.txt" else ["a.png", "b.png", "c.png"]
    assert [problem.name for problem in failed] == expected
    assert all(f"{place / name}: a link, folder, pipe or device" in p.message for p in failed)
    assert len(done.changes) + len(failed) == 3
    assert kind_and_text(place / name) == before
    for change in done.changes:
        assert (place / change.name).with_suffix(".txt").read_text() == f"{change.after}\n"


def test_a_caption_in_two_places_stays_one(tmp_path: Path) -> None:
    place = folder(tmp_path, a="old")
    (place / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "old"}\n')
    caption_dataset(read_dataset(place), None, edits=TAG)
    assert texts(place) == {"a": "new, old"}
    dataset = read_dataset(place)
    assert dataset.items[0].caption == "new, old" and not dataset.problems


def test_edits_without_a_model_and_a_preview_that_writes_nothing(tmp_path: Path) -> None:
    place = folder(tmp_path, a="a cup", b="a lamp", c=None)
    edits = CaptionEdits(tag="new", replace=(("cup", "mug"),))
    before = texts(place)
    shown = caption_dataset(read_dataset(place), None, edits=edits, preview=1)
    assert [(c.before, c.after) for c in shown.changes] == [("a cup", "new, a mug")]
    caption_dataset(read_dataset(place), describe, edits=edits, preview=5, format="metadata")
    assert texts(place) == before and not (place / "metadata.jsonl").exists()
    caption_dataset(read_dataset(place), None, edits=edits)
    assert texts(place) == {"a": "new, a mug", "b": "new, a lamp"}


def test_sidecars_of_the_kind_asked_for(tmp_path: Path) -> None:
    place = folder(tmp_path / "3_mug", a=None)
    caption_dataset(read_dataset(tmp_path), describe, edits=TAG, format="caption")
    assert (place / "a.caption").read_text() == "new, picture 0\n"
