"""docs/families.md shows what a family adds to files as these are."""

from __future__ import annotations

import re

import pytest
from helpers import source

PAGE = (source.ROOT / "docs" / "families.md").read_text("utf-8")
DIFFS = re.findall(r"```diff\n\+\+\+ (\S+)\n(.*?)```", PAGE, re.DOTALL)


def pattern(line: str) -> re.Pattern[str]:
    """Matches the line of a file that a line of the page shows; `…` stands for what it leaves
    out."""
    shown = (re.escape(piece) for piece in re.split(r"(?<=\S) ?… ?|… ?", line))
    return re.compile(f"^{'.*'.join(shown)}$", re.MULTILINE)


@pytest.mark.parametrize(("name", "diff"), DIFFS, ids=[name for name, _ in DIFFS])
def test_lines_of_a_diff_stand_in_their_file_in_this_order(name: str, diff: str) -> None:
    text, place = (source.ROOT / name).read_text("utf-8"), 0
    lines = [line for line in diff.splitlines() if line != "…"]
    assert "+" in {line[0] for line in lines} <= {"+", " "}
    for line in lines:
        found = pattern(line[1:]).search(text, place)
        assert found, f"{name} has no such line here: {line}"
        place = found.end()


def test_every_fence_is_held() -> None:
    assert len(DIFFS) == PAGE.count("```diff") > 10
