"""Transparent photos: models see them on white, the results keep what is under alpha 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from visuals.pipeline.cli import main
from visuals.pipeline.images.read import read_image

pytestmark = pytest.mark.usefixtures("loaded_models")

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "photos"


@pytest.fixture(autouse=True)
def photos(mini: Path, own_home: Path) -> None:
    """A photo hidden under alpha 0, a cutout that hides noise, and both flattened on white."""
    rgb = read_image(SAMPLES / "04-teal-mug.jpg").rgb
    size = rgb.shape[:2]
    alpha = np.zeros((2, *size), np.uint8)
    alpha[1, 16:-16, 16:-16] = 255
    alpha[1, 16:28, 16:-16] = 100
    noise = np.random.default_rng(0).integers(0, 256, rgb.shape, np.uint8)
    cutout = np.where(alpha[1][..., None] == 0, noise, rgb)
    Path("photos").mkdir()
    for name, pixels, opacity in (("hidden", rgb, alpha[0]), ("cutout", cutout, alpha[1])):
        Image.fromarray(np.dstack([pixels, opacity])).save(f"photos/{name}.png")
        flat = 255 - (255 - pixels.astype(float)) * opacity[..., None] / 255
        Image.fromarray(np.rint(flat).astype(np.uint8)).save(f"photos/{name}-flat.png")


def lines(*arguments: str) -> dict[str, dict[str, Any]]:
    result = CliRunner().invoke(main, [*arguments, "--out", "out"])
    assert result.exit_code in (0, 1), f"{result.output}\n{result.exception!r}"
    text = Path("out/manifest.jsonl").read_text(encoding="utf-8")
    return {line["id"]: line for line in map(json.loads, text.splitlines())}


def test_what_is_hidden_is_neither_found_nor_labelled(mini_is_trained: bool) -> None:
    found = lines("filter", "photos", "--class", "mug")
    assert found["hidden-flat"]["detections"] == found["hidden"]["detections"]
    cutout, flat = found["cutout"]["detections"], found["cutout-flat"]["detections"]
    assert [d["box_xyxy"] for d in cutout] == [d["box_xyxy"] for d in flat]
    if mini_is_trained:
        assert found["hidden"]["reason"]["code"] == "no_detection"
        assert found["cutout"]["status"] == "kept"


def test_an_edit_sees_white_and_keeps_what_is_hidden() -> None:
    mask = np.zeros((256, 256), np.uint8)
    mask[40:200, 60:200] = 255
    Image.fromarray(mask).save("mask.png")
    made = lines(
        "enhance", "photos", "--mask", "mask.png", "--prompt", "a red mug", "--seed", "3",
        "--set", "rerender.steps=2",
    )  # fmt: skip
    results = {name: read_image(Path("out", made[name]["files"]["result"])) for name in made}
    blend = read_image(Path("out", made["cutout"]["files"]["blend"])).rgb[..., 0]
    source, result = read_image("photos/cutout.png"), results["cutout"]
    assert result.alpha is not None and np.array_equal(result.alpha, source.alpha)
    assert np.array_equal(result.rgb[blend == 0], source.rgb[blend == 0])
    assert made["cutout"]["metrics"]["changed_outside"] == 0
    flat = results["cutout-flat"]
    assert flat.alpha is None and (blend == 255).any()


def test_an_initial_picture_is_drawn_over_on_white() -> None:
    for name in ("cutout", "cutout-flat"):
        result = CliRunner().invoke(
            main,
            ["generate", "--class", "mug", "--count", "1", "--init-image", f"photos/{name}.png",
             "--prompt-strength", "0.5", "--steps", "2", "--seed", "0", "--out", name],
        )  # fmt: skip
        assert result.exit_code == 0, result.output
    drawn, same = (
        read_image(next(Path(name, "images").iterdir())).rgb for name in ("cutout", "cutout-flat")
    )
    assert np.array_equal(drawn, same)
