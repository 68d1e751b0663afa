"""`visuals grid` on the embedded models: every cell is the picture its labels say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from visuals.pipeline import grid
from visuals.pipeline.cli import main

FEW = ("--set", "generate.steps=2")


def visuals(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def test_the_last_axis_that_varies_makes_the_columns() -> None:
    made = grid.plan(
        {
            "preset": ["mini"],
            "checkpoint": [None],
            "prompt": ["a mug", "a car, <lora:x:1>"],
            "lora": grid.parse_loras(["x:0,1"]),
            "seed": [7],
        }
    )
    assert made.columns == "lora" and len(made.rows) == 2 and len(made.cells) == 4
    assert [made.label(row) for row in made.rows] == ["a mug", "a car"]
    assert [made.label({"lora": w}) for w in made.values["lora"]] == ["x 0", "x 1"]
    assert made.cells[1]["lora"].put("a mug") == "a mug, <lora:x:1>"


@pytest.mark.parametrize("text", ["look:a", ":1", "look:0,,1"])
def test_a_lora_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(grid.GridError, match="expected NAME:WEIGHT"):
        grid.parse_loras([text])


def test_columns_and_rows_are_drawn_where_their_labels_are() -> None:
    inks = [(30 * k, 10, 200) for k in range(5)]
    tiles = [np.full((40, 40, 3), ink, np.uint8) for ink in inks]
    out = grid.sheet([*tiles, "flagged"], ["one", "two", "three"], ["up", "down"])
    middles = [np.argwhere((out == ink).all(2)).mean(0) for ink in inks]
    assert middles[0][0] == middles[1][0] == middles[2][0] < middles[3][0] == middles[4][0]
    assert middles[0][1] == middles[3][1] < middles[1][1] == middles[4][1] < middles[2][1]
    red = out[..., 0].astype(int) - out[..., 1]
    assert red[-45:, -45:].max() > 60 >= red[:45].max(), "the reason stands in the last tile"


def test_a_weight_changes_the_picture_and_none_is_the_base(mini: Path, tmp_path: Path) -> None:
    args = ("--prompt", "a mug", "--lora", "ppzmini:0,1", "--seeds", "3", "--json", *FEW)
    result = visuals("grid", *args, "--out", str(tmp_path / "a.png"))
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [c["lora"] for c in told["cells"]] == ["ppzmini 0", "ppzmini 1"] and not told["missing"]
    both = np.asarray(Image.open(tmp_path / "a.png"))
    result = visuals("grid", "--prompt", "a mug", "--seeds", "3", *FEW, "--out", "b.png")
    assert result.exit_code == 0, result.output
    base = np.asarray(Image.open("b.png"))[-132:-4, -132:-4]
    left, right = both[-132:-4, -264:-136], both[-132:-4, -132:-4]
    assert (left == base).all() and (right != base).any()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--prompt", "a {class}"), "no --class"),
        (("--prompt", "a mug", "--seeds", "1,x"), "expected numbers"),
        (("--prompt", "a mug", "--out", "grid.gif"), "expected a name that ends in"),
        (("--prompt", "a mug", "--lora", "nobody:1"), "nobody"),
        (("--prompt", "a mug", "--columns", "size"), "expected one of preset"),
        (("--prompt", "a mug", "--seeds", ",".join(map(str, range(500)))), "at most 400"),
    ],
)
def test_mistakes_are_one_line(mini: Path, args: tuple[str, ...], said: str) -> None:
    result = visuals("grid", *args)
    assert result.exit_code == 2 and said in result.output
    assert "Traceback" not in result.output
