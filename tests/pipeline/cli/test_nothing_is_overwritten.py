"""No command writes over a file or into a folder of the user's: it is refused before any work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from helpers.command_line import checked, commands, visuals
from PIL import Image

READ = {
    "--prompts", "--init-image", "--reference", "--lora-dir", "--embedding-dir", "--background",
    "--from-file", "--mask", "--photos", "--images", "--data",
}  # fmt: skip
"""Options that name a file or folder to read."""
KEPT = {"--runs", "--lock"}
"""Options that name what grows: the studio's folder of runs, and the pins of models."""
NEEDED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("run",): ("photos", "--class", "mug"),
    ("generate",): ("--class", "mug"),
    ("filter",): ("photos", "--class", "mug"),
    ("enhance",): ("photos", "--class", "mug"),
    ("grid",): ("--class", "mug"),
    ("replay",): ("gone",),
    ("annotate",): ("gone", "--polygons"),
    ("export",): ("gone",),
    ("dataset", "import"): ("list.jsonl", "--images", "photos"),
}
"""What commands need beside the option that says where they write."""
PLACES = {
    "photos/mine.jpg": "a file",
    "photos": "the folder of the photos",
    "letters": "a folder of other files",
    ".": "a folder that holds the photos",
    "letter.txt/new.png": "below a file",
    "": "no name",
}


def outputs() -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command with each of its options that name a file or folder to write."""
    for words, command in commands():
        for option in command.params:
            shown = str(option.metavar or option.type.name).upper()
            is_path = any(name in shown for name in ("FILE", "DIR", "PATH", "LIST"))
            if isinstance(option, click.Option) and is_path and not {*READ, *KEPT} & {*option.opts}:
                yield words, option.opts[-1]


@pytest.fixture
def home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos, a list of them, and letters; there is no model and no run."""
    (own_home / "photos").mkdir()
    Image.new("RGB", (64, 64), "red").save(own_home / "photos" / "mine.jpg")
    (own_home / "list.jsonl").write_text(json.dumps({"image": "mine.jpg", "title": "mug"}))
    (own_home / "letters").mkdir()
    for name in ("letter.txt", "letters/letter.txt"):
        (own_home / name).write_text("Dear all, the photos follow.")
    monkeypatch.setenv("VISUALS_MINI", "letters")
    return own_home


def contents(folder: Path) -> dict[Path, bytes | None]:
    """What each file below a folder holds; None for folders."""
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.mark.parametrize(("words", "option"), outputs())
def test_what_is_there_is_refused_and_stays(
    words: tuple[str, ...], option: str, home: Path
) -> None:
    before = contents(home)
    for place, what in PLACES.items():
        result = visuals(*words, *NEEDED.get(words, ()), option, place)
        message = f"{what}: {result.output}{result.exception!r}"
        assert isinstance(result.exception, SystemExit) and result.exit_code == 2, message
        assert result.stdout == "" and result.stderr.count("\n") == 1, message
        assert result.stderr.startswith("visuals: ") and "mini/" not in result.stderr, message
        name = re.escape(place or "''")
        named = re.search(f"[ ']{name}[ ':]", result.stderr)
        assert named and "expected" in result.stderr, message
        assert contents(home) == before, message


def test_a_name_that_no_option_has(home: Path) -> None:
    """`config init FILE` is an argument."""
    before = contents(home)
    for place in PLACES:
        assert "expected" in checked("config", "init", place, code=2).stderr
    assert contents(home) == before
