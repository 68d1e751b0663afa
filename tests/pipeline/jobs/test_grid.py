"""`visuals grid` on the embedded models: every cell is the picture its labels say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import visuals
from PIL import Image

from visuals.configs.schema import load_settings
from visuals.pipeline.images import provenance
from visuals.pipeline.images.contact_sheet import sheet
from visuals.pipeline.images.read import read_texts
from visuals.pipeline.images.write import Format, encode_png
from visuals.pipeline.jobs import grid
from visuals.pipeline.jobs import grid_files as cells
from visuals.pipeline.jobs.draw_grid import GridRequest, draw_grid, plan_grid
from visuals.pipeline.jobs.grid import GridError

pytestmark = pytest.mark.usefixtures("loaded_models")

FEW = ("--set", "generate.steps=2")
SIDE = load_settings().generate.width
GAP = SIDE // 32


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
    out = sheet([*tiles, "flagged"], ["one", "two", "three"], ["up", "down"])
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
    low, high = GAP + SIDE, 2 * (GAP + SIDE)
    base = np.asarray(Image.open("b.png"))[-low:-GAP, -low:-GAP]
    left, right = both[-low:-GAP, -high : -high + SIDE], both[-low:-GAP, -low:-GAP]
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


def test_cells_are_kept_one_by_one(mini: Path, tmp_path: Path) -> None:
    args = ("grid", "--prompt", "a mug", "--lora", "ppzmini:0,1", "--seeds", "3,4", *FEW)
    folder = tmp_path / "kept"
    result = visuals(*args, "--cells", str(folder), "--out", str(folder / "grid.png"))
    assert result.exit_code == 0, result.output
    drawn = cells.read(folder)
    assert drawn is not None and drawn.total == len(drawn.cells) == 4
    assert drawn.columns == ("seed 3", "seed 4") and drawn.rows == ("ppzmini 0", "ppzmini 1")
    sheet = np.asarray(Image.open(folder / "grid.png"))
    last = np.asarray(Image.open(str(drawn.cells[3])))
    assert (sheet[-GAP - SIDE : -GAP, -GAP - SIDE : -GAP] == last).all()
    said = read_texts(drawn.cells[3])
    assert "Seed: 4" in said["parameters"] and 'Lora hashes: "ppzmini: ' in said["parameters"]
    for path in (drawn.cells[3], folder / "grid.png"):
        assert "digitalsourcetype/trainedAlgorithmicMedia<" in read_texts(path)["xmp"]
    replayed = visuals("replay", str(drawn.cells[3]), "--out", str(tmp_path / "replayed"))
    assert replayed.exit_code == 0 and "1 of 1 are equal" in replayed.stderr, replayed.output
    again = visuals(*args, "--cells", str(folder), "--out", str(folder / "grid.png"))
    assert again.exit_code == 2 and "is there already and holds" in again.output


def test_a_grid_is_read_while_it_is_drawn(tmp_path: Path) -> None:
    assert cells.read(tmp_path) is None
    asked = plan_grid(GridRequest(("a {class}",), classes=("mug", "car"), seeds=(1, 2)))
    kept = cells.GridWriter(tmp_path, asked)
    kept.put(2, np.full((8, 8, 3), 9, np.uint8))
    kept.put(3, "flagged")
    with (tmp_path / cells.LINES).open("a") as file:
        file.write('{"cell": 1, "fi')  # being written
    drawn = cells.read(tmp_path)
    assert drawn is not None and drawn.rows == ("a mug", "a car")
    assert drawn.cells == {2: tmp_path / "cell-0002.png", 3: "flagged"}


def test_loras_of_a_folder_of_ones_own(mini: Path, tmp_path: Path) -> None:
    (tmp_path / "own.safetensors").symlink_to(mini / "loras" / "ppzmini.safetensors")
    args = ("grid", "--prompt", "a mug", "--lora", "own:1", "--lora", "ppzmini:0.5", "--seeds", "3")
    assert "own" in visuals(*args, *FEW).output  # not found
    assert visuals(*args, *FEW, "--lora-dir", str(tmp_path)).exit_code == 0


def test_a_file_that_is_no_grid_is_not_written_over(mini: Path, tmp_path: Path) -> None:
    request = GridRequest(("a mug",), out=str(tmp_path / "mine.png"), cells=str(tmp_path / "cells"))
    for data in (encode_png(np.zeros((8, 8, 3), np.uint8)), b"text"):
        Path(request.out).write_bytes(data)
        with pytest.raises(GridError, match="is no grid of visuals"):
            draw_grid(request)
        assert Path(request.out).read_bytes() == data
    xmp = provenance.packet(provenance.DRAWN)
    args = ("generate", "--class", "mug", "--count", "1", "--out", str(tmp_path / "run"))
    assert visuals(*args, *FEW).exit_code == 0
    assert not provenance.is_sheet(tmp_path / "run" / "images" / "mug-0001.png")
    for kind in ("png", "jpeg", "webp"):
        path = tmp_path / f"grid.{kind}"
        path.write_bytes(Format(kind).encode(np.zeros((8, 8, 3), np.uint8), xmp=xmp))
        assert provenance.is_sheet(path)


@pytest.mark.parametrize("name", [cells.NAME, cells.LINES, "cell-0003.png"])
def test_cells_are_written_over_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(GridError, match="holds a grid already"):
        cells.GridWriter(tmp_path, plan_grid(GridRequest(("a mug",))))
    assert [path.name for path in tmp_path.iterdir()] == [name]
