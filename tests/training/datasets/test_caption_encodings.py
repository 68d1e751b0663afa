"""Encodings × commands: a caption is read, or named and never written over."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers.small_trainings import small
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visuals.configs.errors import UsageError
from visuals.training.captioning.caption_folder import caption_dataset, write_captions
from visuals.training.check_dataset import check_dataset
from visuals.training.datasets.caption_edits import CaptionEdits
from visuals.training.datasets.captions import Sidecar
from visuals.training.datasets.dataset_folder import DatasetError, read_dataset
from visuals.training.datasets.training_set import make_buckets, read_training_set

CAPTION = "ppz, a caf\u00e9 car"
LINES = f"{CAPTION}\r\nsecond line, car\n\n  third\n"
READ = {
    "utf-8": LINES.encode(),
    "utf-8 with mark": LINES.encode("utf-8-sig"),
    "utf-16-le with mark": codecs.BOM_UTF16_LE + LINES.encode("utf-16-le"),
    "utf-16-be with mark": codecs.BOM_UTF16_BE + LINES.encode("utf-16-be"),
    "utf-16-le": LINES.encode("utf-16-le"),
    "utf-16-be": LINES.encode("utf-16-be"),
}
UNREAD = {
    "latin-1": LINES.encode("latin-1"),
    "latin-1, one word": b"caf\xe9",
    "cp1252": "a \u201ccar\u201d".encode("cp1252"),
    "gbk": "\u7ea2\u8272\u7684\u676f\u5b50".encode("gbk"),
    "shift-jis": "\u8d64\u3044\u9774".encode("shift-jis"),
    "utf-16 without mark or Latin letters": "\u9769\u8863\u5343".encode("utf-16-le"),
    "utf-16, cut off": codecs.BOM_UTF16_LE + CAPTION.encode("utf-16-le")[:-1],
    "utf-32": CAPTION.encode("utf-32"),
    "a null byte": b"a \0 car",
}


def described(images: Sequence[Image.Image]) -> list[str]:
    return ["from the model"] * len(images)


def caption(folder: Path, *, model: bool = True, overwrite: bool = False) -> str:
    done = caption_dataset(
        read_dataset(folder),
        described if model else None,
        edits=CaptionEdits() if model else CaptionEdits(replace=(("car", "van"),)),
        overwrite=overwrite,
    )
    return "\n".join(p.message for p in done.problems)


def check(folder: Path) -> str:
    report = check_dataset(read_dataset(folder), buckets=make_buckets(small(folder, folder)))
    return "\n".join(p.message for p in report.broken)


def train(folder: Path) -> str:
    settings = small(folder, folder.parent / "out", instance_prompt="not to be used")
    try:
        data = read_training_set(settings)
    except DatasetError as error:
        return str(error)
    assert "not to be used" not in [e.text for e in data.learned]
    return "\n".join(data.problems)


def write(folder: Path) -> str:
    """As the studio does, where a user edits a caption."""
    dataset = read_dataset(folder)
    try:
        write_captions(dataset, {dataset.items[0].name: dataset.items[0].caption or "typed"})
    except UsageError as error:
        return str(error)
    return ""


COMMANDS: dict[str, Callable[[Path], str]] = {
    "check": check,
    "train": train,
    "caption": caption,
    "caption --no-model": lambda folder: caption(folder, model=False),
    "caption --overwrite": lambda folder: caption(folder, overwrite=True),
    "studio": write,
}


@pytest.fixture(params=["photos", "3_mug"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / str(request.param)
    place.mkdir()
    Image.new("RGB", (64, 64), "red").save(place / "a.png")
    return place


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("encoding", UNREAD)
@pytest.mark.parametrize("ending", [".txt", ".caption"])
def test_what_is_not_read_is_named_and_stays(
    folder: Path, ending: str, encoding: str, command: str
) -> None:
    file = folder / f"a{ending}"
    file.write_bytes(UNREAD[encoding])
    assert f"a{ending}: not UTF-8 text" in COMMANDS[command](folder)
    assert file.read_bytes() == UNREAD[encoding]
    assert sorted(p.name for p in folder.iterdir()) == sorted(["a.png", file.name])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("encoding", READ)
def test_what_is_read_is_the_same_in_every_encoding(
    folder: Path, encoding: str, command: str
) -> None:
    file = folder / "a.txt"
    file.write_bytes(READ[encoding])
    (item,) = read_dataset(folder).items
    assert item.caption == CAPTION
    assert "UTF-8" not in COMMANDS[command](folder)
    name = encoding.removesuffix(" with mark")
    mark = "\ufeff" if name != encoding else ""
    expected = {
        "caption --no-model": LINES.replace("a caf\u00e9 car", "a caf\u00e9 van"),
        "caption --overwrite": LINES.replace(CAPTION, "from the model"),
    }.get(command, LINES)
    assert file.read_bytes() == (mark + expected).encode(name)


def test_a_caption_in_metadata_that_is_no_text_stays(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    line = '{"file_name": "a.png", "text": ["a car", "a red car"]}\n'
    (tmp_path / "metadata.jsonl").write_text(line)
    for command in ("caption", "caption --no-model", "caption --overwrite"):
        assert "'text' is no text: ['a car', 'a red car']" in COMMANDS[command](tmp_path)
        assert (tmp_path / "metadata.jsonl").read_text() == line


def test_of_two_captions_one_is_read_and_the_other_is_named_and_stays(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a car")
    (tmp_path / "a.caption").write_text("another car")
    for command in ("caption", "caption --no-model", "caption --overwrite"):
        assert "a.png: differs in a.caption; a.txt counts" in COMMANDS[command](tmp_path)
        assert (tmp_path / "a.caption").read_text() == "another car"
    assert (tmp_path / "a.txt").read_text() == "from the model"
    assert "differs" not in check(tmp_path) and "differs in a.caption" in train(tmp_path)
    (tmp_path / "a.caption").write_text("from the model\n")
    assert "differs" not in train(tmp_path)


def test_a_caption_of_two_pictures_is_named_and_edited_once(tmp_path: Path) -> None:
    for ending in (".png", ".jpg"):
        Image.new("RGB", (64, 64), "red").save(tmp_path / f"a{ending}")
    (tmp_path / "a.txt").write_text("a car")
    assert "a.txt: of two pictures, which differ in their ending" in train(tmp_path)
    done = caption_dataset(read_dataset(tmp_path), None, edits=CaptionEdits(suffix="red"))
    assert len(done.changes) == 2 and (tmp_path / "a.txt").read_text() == "a car, red"


def test_without_a_model_what_is_passed_over_is_named(tmp_path: Path) -> None:
    for name in "abc":
        Image.new("RGB", (64, 64), "red").save(tmp_path / f"{name}.png")
    (tmp_path / "a.txt").write_text("a car")
    (tmp_path / "b.txt").write_bytes(UNREAD["gbk"])
    assert caption(tmp_path, model=False).splitlines() == [
        f"b.txt: {tmp_path / 'b.txt'}: not UTF-8 text; expected a caption; save it as UTF-8",
        "c.png: no caption to edit; write one",
    ]


def test_a_blank_first_line_and_lines_behind_the_caption_are_named(tmp_path: Path) -> None:
    """kohya's scripts read an empty caption from the blank line."""
    for name in "ab":
        Image.new("RGB", (64, 64), "red").save(tmp_path / f"{name}.png")
    (tmp_path / "a.txt").write_text("\n  \na car\n")
    (tmp_path / "b.txt").write_text("a car\nblue\n")
    blank = "a.txt: its first line is blank; the next one is the caption"
    more = "b.txt: lines behind its caption, which are not read"
    dataset = read_dataset(tmp_path)
    assert [item.caption for item in dataset.items] == ["a car", "a car"]
    report = check_dataset(dataset, buckets=make_buckets(small(tmp_path, tmp_path)))
    assert {blank, more} <= {p.message for p in report.problems} and not report.broken
    assert {blank, "not read: lines behind the caption: b.txt"} <= set(train(tmp_path).split("\n"))
    caption(tmp_path, model=False)
    assert (tmp_path / "a.txt").read_text() == "\n  \na van\n"


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))
WORDS = st.from_regex(r"[a-z\u00e9\u4e00-\u4e10]{1,9}( [a-z]{1,9}){0,3}", fullmatch=True)


@given(TEXTS, WORDS, WORDS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]))
def test_an_edit_changes_the_caption_alone(text: str, old: str, new: str, encoding: str) -> None:
    """For any text behind the caption and any file that is written as it was read."""
    file = Sidecar(f"\ufeff\n{old} \n{text}", encoding.removesuffix("-sig"))
    assert file.caption == old
    assert file.with_caption(new) == f"\ufeff\n{new} \n{text}".encode(file.encoding)
    assert Sidecar().with_caption(new) == f"{new}\n".encode()
