"""Training folders of every layout, read, with all that can be wrong in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visuals.training.datasets.dataset_folder import Dataset, DatasetError, read_dataset


def picture(path: Path, size: tuple[int, int] = (32, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 30, 30)).save(path)
    return path


def codes(dataset: Dataset) -> list[str]:
    return [problem.code for problem in dataset.problems]


def test_kohyas_folders(tmp_path: Path) -> None:
    picture(tmp_path / "6_tag mug" / "a.png").with_suffix(".txt").write_text("tag, a mug\nnot read")
    picture(tmp_path / "6_tag mug" / "b.JPG").with_suffix(".caption").write_text("tag, b")
    picture(tmp_path / "2_rest" / "c.webp")
    picture(tmp_path / "0_off" / "d.png")
    picture(tmp_path / "loose.png")
    picture(tmp_path / "6_tag mug" / "masks" / "a.png")
    dataset = read_dataset(tmp_path)
    c, a, b = dataset.items
    assert dataset.layout == "kohya" and dataset.pictures == 14
    assert (a.name, a.caption, a.repeats, a.tag) == ("6_tag mug/a.png", "tag, a mug", 6, "tag")
    assert a.mask == tmp_path / "6_tag mug" / "masks" / "a.png" and b.mask is None
    assert (b.caption, b.caption_from) == ("tag, b", b.path.with_suffix(".caption"))
    assert (c.caption, c.text, c.repeats) == (None, "rest", 2)
    assert dataset.tag == "tag" and not dataset.problems
    assert [p.name for p in dataset.left_out] == ["d.png", "loose.png"]


@pytest.mark.parametrize("root", ["", "6_caf\udce9"])
def test_a_folder_whose_name_is_no_text_names_no_class(tmp_path: Path, root: str) -> None:
    """Bytes that are not UTF-8 ended check and train in the tokenizer."""
    picture(tmp_path / "6_caf\udce9" / "a.png")
    (item,) = read_dataset(tmp_path / root).items
    assert item.repeats == 6 and item.text == "" and item.is_uncaptioned


@pytest.mark.parametrize("ending", ["txt", ".txt"])
def test_an_ending_of_captions_with_its_dot_or_without(tmp_path: Path, ending: str) -> None:
    picture(tmp_path / "a.png").with_suffix(".txt").write_text("a mug")
    (item,) = read_dataset(tmp_path, caption_extension=ending).items
    assert item.caption == "a mug"


@pytest.mark.parametrize("ending", [".", "..", "a/b", "/", " "])
def test_what_is_no_ending_is_refused(tmp_path: Path, ending: str) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="expected the ending of a file"):
        read_dataset(tmp_path, caption_extension=ending)


def test_numbers_that_are_hardly_repeats_are_named(tmp_path: Path) -> None:
    for name, repeats in (("20240115_shoot", 20_240_115), ("1001_x", 1001), ("1000_y", 1000)):
        picture(tmp_path / name / "a.png")
        dataset = read_dataset(tmp_path)
        expected = [p.message for p in dataset.problems if p.name == name]
        assert bool(expected) == (repeats > 1000)
        assert all(f"{name}: its pictures are shown {repeats:,} times" in m for m in expected)
    assert "20240115_shoot/a.png alone 20,240,115 times" in dataset.excess
    assert not read_dataset(tmp_path / "1001_x").excess


@pytest.mark.parametrize("place", ["reg/1_y", "0_y", "masks"])
def test_a_set_of_pictures_that_are_all_left_out_says_why(tmp_path: Path, place: str) -> None:
    for name in "ab":
        picture(tmp_path / place / f"{name}.png")
    with pytest.raises(DatasetError, match=f"2 left out, as {place}/a.png: "):
        read_dataset(tmp_path)


def test_the_folder_of_repeats_itself(tmp_path: Path) -> None:
    picture(tmp_path / "5_mug" / "a.png")
    dataset = read_dataset(tmp_path / "5_mug")
    assert (dataset.pictures, dataset.items[0].text, dataset.items[0].name) == (5, "mug", "a.png")


def test_folders_within_a_folder_of_repeats_count_to_it(tmp_path: Path) -> None:
    """As an earlier `visuals export` wrote photos of sub-folders; once, 1 of 5 was read."""
    for name in ("x", "shop1/x", "shop1/y", "shop2/x", "shop2/deep/x"):
        picture(tmp_path / "6_t" / f"{name}.png").with_suffix(".txt").write_text(name)
    dataset = read_dataset(tmp_path)
    assert dataset.pictures == 30 and not dataset.unused
    assert [item.name for item in dataset.items if item.caption != item.name[4:-4]] == []
    (tmp_path / "6_t" / "x.png").unlink()
    assert {item.repeats for item in read_dataset(tmp_path).items} == {6}


@pytest.mark.parametrize(("name", "repeats", "prompt"), [("10", 10, ""), ("010_", 10, ""),
    ("3_a_b", 3, "a_b"), ("x_3", 1, ""), ("3x", 1, ""), ("3 x", 1, "")])  # fmt: skip
def test_names_of_folders_as_kohya_reads_them(
    tmp_path: Path, name: str, repeats: int, prompt: str
) -> None:
    """kohya's own parser gives the same repeats and prompts, and leaves out the last three."""
    picture(tmp_path / name / "a.png")
    (item,) = read_dataset(tmp_path).items
    assert (item.repeats, item.class_prompt) == (repeats, prompt)


def test_a_project_of_kohyas_interface(tmp_path: Path) -> None:
    for name in ("img/10_x/a", "img/10_x/b", "reg/1_y/c", "model/sample/d", "log/e"):
        picture(tmp_path / f"{name}.png")
    dataset = read_dataset(tmp_path)
    assert [(item.name, item.repeats) for item in dataset.items] == [
        ("img/10_x/a.png", 10), ("img/10_x/b.png", 10),
    ]  # fmt: skip
    assert [p.name for p in dataset.left_out] == ["e.png", "d.png", "c.png"]
    assert "set class_data_dir to reg" in dataset.unused[-1].message
    assert [item.repeats for item in read_dataset(tmp_path / "reg").items] == [1]
    plain = read_dataset(tmp_path / "img" / "10_x", without=[tmp_path / "reg"])
    assert plain.pictures == 20 and not plain.unused


def test_every_file_is_used_or_named(tmp_path: Path) -> None:
    picture(tmp_path / "sub" / "a.png").with_suffix(".txt").write_text("a")
    picture(tmp_path / "masks" / "sub" / "a.png")
    picture(tmp_path / "b.png").with_suffix(".TXT").write_text("b")
    picture(tmp_path / "b-masklabel.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "c.heic", "text": "c"}\n')
    picture(tmp_path / ".hidden.png")
    picture(tmp_path / "masks" / "lost.png")
    for name in ("c.heic", "metadata.csv", "gone.txt", "notes.md", "import.json"):
        (tmp_path / name).write_bytes(b"x")
    picture(tmp_path / "d-masklabel.png")
    dataset = read_dataset(tmp_path)
    assert [item.name for item in dataset.items] == ["b.png", "d-masklabel.png", "sub/a.png"]
    assert [item.mask is not None for item in dataset.items] == [True, False, True]
    assert not dataset.problems
    assert {(p.code, p.name) for p in dataset.unused} == {
        ("left_out", "masks/lost.png"), ("not_read", "b.TXT"), ("not_read", "c.heic"),
        ("not_read", "gone.txt"), ("not_read", "metadata.csv"), ("not_read", "notes.md"),
    }  # fmt: skip


PARTS = st.sampled_from(["6_t", "0_off", "10", "img", "reg", "masks", "shop", "samples", ".cache"])
NAMES = st.sampled_from(
    ["a.png", "a.txt", "a.caption", "b.JPG", "a-masklabel.png", "c.heic", "metadata.csv", ".x.png"]
)
TREES = st.sets(st.builds(lambda p, n: "/".join([*p, n]), st.lists(PARTS, max_size=3), NAMES))


@given(TREES)
def test_every_file_of_any_tree_is_used_or_named(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    root = tmp_path_factory.mktemp("set")
    picture(root / "first.png").with_suffix(".txt").write_text("first")
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    try:
        dataset = read_dataset(root)
    except DatasetError:
        assert any(name.startswith("0_off") or "/0_off" in name for name in names)
        return
    named = {p.name for p in dataset.unused}
    used = {Path(item.name) for item in dataset.items}
    used |= {path.with_suffix(ending) for path in used for ending in (".txt", ".caption")}
    used |= {item.mask.relative_to(root) for item in dataset.items if item.mask}
    for path in (p.relative_to(root) for p in root.rglob("*") if p.is_file()):
        hidden = any(part.startswith(".") for part in path.parts)
        assert hidden + (path in used) + (path.as_posix() in named) == 1, path
    assert {item.repeats > 1 for item in dataset.items} == {dataset.layout == "kohya"}


def test_linked_folders_are_read_and_circles_end(tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "a.png")
    (tmp_path / "set").mkdir()
    for name in ("2_x", "3_y"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "circle").symlink_to(tmp_path / "set")
    assert read_dataset(tmp_path / "set").pictures == 5


def test_an_imagefolder_with_masks(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "images" / "b.png")
    picture(tmp_path / "m" / "a.webp")
    rows = [
        {"file_name": "images/a.png", "text": "tag, a", "mask_file_name": "masks/x.png"},
        {"file_name": "images/b.png", "text": "tag, b", "mask_file_name": None},
        {"file_name": "m/a.webp", "text": None, "mask_file_name": None},
    ]
    picture(tmp_path / "masks" / "x.png")
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = read_dataset(tmp_path, repeats=3)
    assert dataset.layout == "imagefolder" and dataset.pictures == 9 and not dataset.problems
    assert [item.caption for item in dataset.items] == ["tag, a", "tag, b", None]
    assert dataset.items[0].mask == tmp_path / "masks" / "x.png"
    assert dataset.items[0].caption_from == tmp_path / "metadata.jsonl"


def test_everything_wrong_with_captions_is_said_and_nothing_stops(tmp_path: Path) -> None:
    for name in "abcd":
        picture(tmp_path / f"{name}.png")
    (tmp_path / "metadata.jsonl").write_text(
        "\n".join(
            [
                json.dumps({"file_name": "a.png", "text": "old"}),
                "{no json",
                json.dumps({"text": "no name"}),
                json.dumps({"file_name": "../../etc/passwd", "text": "x"}),
                json.dumps({"file_name": "gone.png", "text": "x"}),
                json.dumps({"file_name": "b.png", "text": 7}),
                json.dumps({"file_name": "d.png", "text": "d"}),
                json.dumps({"file_name": "d.png", "text": "d again"}),
            ]
        )
    )
    (tmp_path / "a.txt").write_text("new", encoding="utf-8-sig")
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\x00ta")
    dataset = read_dataset(tmp_path)
    assert sorted(codes(dataset)) == [
        *["bad_caption"] * 2,
        *["bad_metadata"] * 2,
        "missing_picture",
        "outside",
        *["two_captions"] * 2,
    ]
    captions = {item.name: item.caption for item in dataset.items}
    assert captions == {"a.png": "new", "b.png": None, "c.png": None, "d.png": "d"}
    assert all("\n" not in p.message for p in dataset.problems)


def test_a_folder_with_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no folder 'nowhere'"):
        read_dataset("nowhere")
    (tmp_path / "a.txt").write_text("a caption alone")
    with pytest.raises(DatasetError, match="holds no picture: expected"):
        read_dataset(tmp_path)


def test_the_tag_is_that_of_most_captions(tmp_path: Path) -> None:
    for name, text in (("a", "tag, x"), ("b", "tag, y"), ("c", "other"), ("d", "last")):
        picture(tmp_path / f"{name}.png").with_suffix(".txt").write_text(text)
    assert read_dataset(tmp_path).tag == ""
    (tmp_path / "c.txt").write_text("tag, z")
    assert read_dataset(tmp_path).tag == "tag"
