"""Which files a run takes, and the ids that they get."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from visuals.pipeline.inputs import find_files


def laid(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def below(root: Path, paths: list[Path]) -> list[str]:
    return [p.relative_to(root).as_posix() for p in paths]


def test_find_goes_down_and_leaves_hidden_files_and_runs_out(tmp_path: Path) -> None:
    run = ("runs/1/manifest.jsonl", "runs/1/images/x.png")
    for name in ("b.JPG", "a/c.png", ".hidden/d.png", "a/.e.png", "notes.txt", *run):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = [p.relative_to(tmp_path).as_posix() for p in find_files.find(tmp_path)]
    assert found == ["a/c.png", "b.JPG"]


def test_names_never_meet() -> None:
    paths = [Path(p) for p in ("r/x.png", "r/x.jpg", "r/X.webp", "r/s/x.png", "r/x_jpg.png")]
    given = find_files.names(paths, Path("r"))
    assert len({name.lower() for name in given.values()}) == len(paths)
    assert given[Path("r/s/x.png")] == "s/x"


def test_ids_leave_room_for_endings_and_can_be_written() -> None:
    long = "é" * 120  # 240 bytes
    odd = ["a\nb.png", f"{long}x.png", f"{long}y.png", os.fsdecode(b"c\xff.png"), "🥿.png"]
    given = find_files.names([Path("r") / name for name in odd], Path("r"))
    ids = list(given.values())
    assert ids[0] == "a_b" and ids[3] == "c_" and ids[4] == "🥿"
    assert len(set(ids)) == 5
    for id_ in ids:
        assert len(f"{id_}.control.png".encode()) <= 255
        assert id_.isprintable()


def test_ids_do_not_take_the_names_of_files_that_a_run_writes() -> None:
    paths = [
        Path("r") / n for n in ("x.jpg", "x.blend.jpg", "x.control.png", "y.jpg", "y.png/z.jpg")
    ]
    given = find_files.names(paths, Path("r"))
    assert given[paths[1]] == "x.blend_jpg" and given[paths[2]] == "x.control_png"
    assert given[paths[4]] == "y.png_/z"


def test_ids_stay_in_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid(tmp_path, "a/x.png", "b/x.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = find_files.expand(["../a/x.png", str(tmp_path / "b")])
    assert sorted(found.ids.values()) == ["a/x", "b/x"]
    assert list(find_files.expand(["../a"]).ids.values()) == ["x"]


def test_a_file_named_twice_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid(tmp_path, "a/x.png", "a/y.png")
    monkeypatch.chdir(tmp_path)
    found = find_files.expand(["a", "a/x.png", "./a/../a/y.png"])
    assert len(found.ids) == 2


def test_links_inside_are_fine_those_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    laid(root, "a.png", "deep/b.png")
    laid(tmp_path, "secret/c.png", "d.png")
    (root / "same.png").symlink_to(root / "a.png")
    (root / "out.png").symlink_to(tmp_path / "d.png")
    (root / "away").symlink_to(tmp_path / "secret")
    (root / "deep" / "loop").symlink_to(root)
    (root / "self.png").symlink_to(root / "self.png")
    laid(root, "deep/c.heic", ".hidden.txt", "notes.txt")
    left_out = find_files.LeftOut()
    found = below(root, find_files.find(root, left_out))
    assert found == ["a.png", "deep/b.png", "same.png", "self.png"]
    assert sorted(below(root, left_out.links)) == ["away", "out.png"]
    assert below(root, left_out.others) == ["notes.txt", "deep/c.heic"]
    globbed = find_files.expand([f"{root}/**/*.png"])
    assert sorted(globbed.ids.values()) == ["a", "deep/b", "same", "self"]


def test_globs_take_pictures_below_their_fixed_part(tmp_path: Path) -> None:
    laid(
        tmp_path, "p/a.jpg", "p/q/b.jpg", "p/q/c.png", "p/notes.txt", "p/.hid/d.jpg", "p/2024/e.jpg"
    )
    assert sorted(find_files.expand([f"{tmp_path}/p/**/*.jpg"]).ids.values()) == [
        "2024/e",
        "a",
        "q/b",
    ]
    assert sorted(find_files.expand([f"{tmp_path}/p/20*"]).ids.values()) == ["2024/e"]
    with pytest.raises(find_files.InputError, match="no picture matches"):
        find_files.expand([f"{tmp_path}/p/*.tif"])


def test_a_name_with_brackets_is_a_file_first(tmp_path: Path) -> None:
    laid(tmp_path, "a[1].png")
    assert list(find_files.expand([str(tmp_path / "a[1].png")]).ids.values()) == ["a[1]"]


def test_a_list_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid(tmp_path, "a/x.png", "b/y.png", "b/z.png")
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_bytes("\ufeffa/x.png\r\n\r\nb\ngone.png\n".encode())
    found = find_files.expand(["@list.txt"])
    assert sorted(found.ids.values()) == ["a/x", "b/y", "b/z", "gone"]
    with pytest.raises(find_files.InputError, match=r"cannot read the list: no file 'none.txt'"):
        find_files.expand(["@none.txt"])
    Path("empty.txt").write_text("\n")
    with pytest.raises(find_files.InputError, match="is empty"):
        find_files.expand(["@empty.txt"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_file_as_other_programs_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, end: str
) -> None:
    laid(tmp_path, "a b/x.png", "été.png", "#7.png", " y.png", "'z.png'")
    monkeypatch.chdir(tmp_path)
    lines = [
        "# my photos", '"a b/x.png"', "  été.png ", "#7.png", " y.png", "'z.png'", "", "#gone.png",
        "  # gone.png",
    ]  # fmt: skip
    Path("list.txt").write_bytes(end.join(lines).encode(encoding))
    assert find_files.read_list("list.txt") == [
        "a b/x.png", "été.png", "#7.png", " y.png", "'z.png'",
    ]  # fmt: skip


def test_a_list_file_with_names_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.png\n")
    assert [os.fsencode(name) for name in find_files.read_list(str(tmp_path / "list.txt"))] == [
        b"caf\xe9.png"
    ]


def test_patterns_and_folders_that_cannot_be_used_are_errors_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(tmp_path, "photos/a.jpg", "locked/b.jpg")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(find_files.InputError, match=r"'photos/\*\*.png'"):
        find_files.expand(["photos/**.png"])
    if os.geteuid():
        (tmp_path / "locked").chmod(0)
        with pytest.raises(find_files.InputError, match="locked cannot be read"):
            find_files.expand(["locked"])
        (tmp_path / "locked").chmod(0o700)
