"""Several edits: a variant of every picture for each, named by it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import checked, lines_of, visuals

from visuals.pipeline.images.read import read_image, read_texts

PHOTOS = Path(__file__).resolve().parents[3] / "samples" / "photos"
MUGS = (PHOTOS / "04-teal-mug.jpg", PHOTOS / "12-gray-mug.jpg")
EDITS = ("--edit", "red", "--edit", "Blue glass")
FAST = ("--steps", "3", "--set", "detect.box_threshold=0", "--set", "detect.text_threshold=0")
IDS = {"04-teal-mug-red", "04-teal-mug-Blue-glass", "12-gray-mug-red", "12-gray-mug-Blue-glass"}


def result(folder: str, line: dict[str, Any]) -> np.ndarray:
    return np.asarray(read_image(Path(folder) / line["files"]["result"]).rgb)


@pytest.mark.usefixtures("mini", "loaded_models")
def test_each_photo_has_a_variant_for_each_edit(own_home: Path) -> None:
    command = ("enhance", *MUGS, "-c", "mug", *EDITS, *FAST, "-o", "out")
    checked(*command)
    lines = lines_of("out")
    assert set(lines) == IDS and {line["status"] for line in lines.values()} == {"enhanced"}
    red, blue = lines["04-teal-mug-red"], lines["04-teal-mug-Blue-glass"]
    assert (red["edit"], blue["edit"]) == ("red", "Blue glass")
    assert red["seed"] == blue["seed"] and red["input"] == blue["input"]
    assert not np.array_equal(result("out", red), result("out", blue))
    checked("enhance", MUGS[0], "-c", "mug", "--edit", "red", *FAST, "-o", "one", "--seed", "0")
    alone = result("one", lines_of("one")["04-teal-mug"])
    assert np.abs(alone.astype(int) - result("out", red)).max() <= 2

    lost = Path("out") / blue["files"]["result"]
    lost.unlink()
    again = checked("resume", "out").stderr
    assert lost.is_file() and "done before" in again and set(lines_of("out")) == IDS
    assert np.array_equal(result("out", blue), result("out", lines_of("out")[blue["id"]]))
    assert "done before" in checked(*command).stderr

    checked("enhance", "out", "--edit", "green", "--edit", "white", *FAST, "-o", "more")
    more = lines_of("more")
    assert set(more) == {f"{id_}-{edit}" for id_ in IDS for edit in ("green", "white")}
    masks = {id_: read_image(Path("more") / more[id_]["files"]["mask"]).rgb for id_ in more}
    first = read_image(Path("out") / red["files"]["mask"]).rgb
    assert np.array_equal(masks["04-teal-mug-red-green"], first)


@pytest.mark.usefixtures("mini", "loaded_models")
def test_variants_of_a_drawn_picture_begin_as_the_same(own_home: Path) -> None:
    checked("run", "-c", "mug", "-n", "1", "--edit", "red", "--edit", "green", *FAST, "-o", "out",
            "--set", "run.retries=0")  # fmt: skip
    lines = lines_of("out")
    assert set(lines) == {"mug-0001-red", "mug-0001-green"}
    sources = [read_image(Path("out") / one["files"]["source"]).rgb for one in lines.values()]
    assert np.abs(sources[0].astype(int) - sources[1]).max() <= 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--edit", "red", "--edit", "Red"), "red, Red would have the same names"),
        (("--edit", "red", "--edit", " "), "expected what the product should become"),
        (("--edit", "red", "--edit", "blue", "--prompt-file", "p.txt"), "give each row an edit"),
    ],
)
def test_edits_that_name_no_variants_are_refused(words: tuple[str, ...], why: str) -> None:
    Path("p.txt").write_text("a mug\n")
    refused = visuals("run", "-c", "mug", *words, "-o", "out")
    assert refused.exit_code == 2 and why in refused.stderr and not Path("out").exists()


def test_two_pictures_of_one_name_are_refused() -> None:
    Path("photos").mkdir()
    for name in ("a.jpg", "a-red.jpg"):
        Path("photos", name).write_bytes(MUGS[0].read_bytes())
    words = ("--edit", "red", "--edit", "red red")
    refused = visuals("enhance", "photos", "-c", "mug", *words, "-o", "out")
    assert refused.exit_code == 2 and "a-red-red" in refused.stderr and not Path("out").exists()


@pytest.mark.usefixtures("mini", "loaded_models")
def test_an_edit_has_a_strength_of_its_own_unless_one_is_asked_for(own_home: Path) -> None:
    command = ("enhance", MUGS[0], "-c", "mug", "--seed", "0", *FAST)
    drawn = {}
    for name, options in (
        ("plain", ()),
        ("edited", ("--edit", "red")),
        ("whole", ("--edit", "red", "--strength", "1")),
        ("half", ("--edit", "red", "--strength", "0.5")),
    ):
        checked(*command, *options, "-o", name)
        (line,) = lines_of(name).values()
        drawn[name] = line, result(name, line)
    assert drawn["edited"][0]["metrics"]["strength"] == 1
    assert "strength" not in drawn["plain"][0]["metrics"]
    text = read_texts(Path("edited/images/04-teal-mug.png"))["parameters"]
    assert re.search(r"Denoising strength: 1(\.0)?,", text)
    assert np.array_equal(drawn["edited"][1], drawn["whole"][1])
    assert not np.array_equal(drawn["edited"][1], drawn["half"][1])
