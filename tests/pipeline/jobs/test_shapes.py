"""Photos 1 to 200 times as long as wide, both ways, through detection, re-rendering, training."""

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
from visuals.training.datasets.buckets import Buckets
from visuals.training.datasets.dataset_folder import read_dataset
from visuals.training.datasets.examples import examples

pytestmark = pytest.mark.usefixtures("loaded_models")

LIMITS = {"min_bucket_reso": 64, "max_bucket_reso": 128}
RATIOS = (1, 2, 10, 36, 37, 64, 99, 100, 101, 150, 200)
SIDES = (1, 24)


@pytest.fixture(autouse=True)
def photos(mini: Path, own_home: Path) -> None:
    """Noise in each shape, with captions, and masks of its second quarter."""
    noise = np.random.default_rng(0)
    Path("photos").mkdir()
    Path("masks").mkdir()
    for ratio in RATIOS:
        for side in SIDES:
            pixels = noise.integers(0, 256, (side, side * ratio, 3), np.uint8)
            mask = np.zeros(pixels.shape[:2], np.uint8)
            mask[:, pixels.shape[1] // 4 : pixels.shape[1] // 2 + 1] = 255
            for way, axes in (("wide", (0, 1, 2)), ("tall", (1, 0, 2))):
                name = f"{ratio}-{side}-{way}"
                Image.fromarray(pixels.transpose(axes).copy()).save(f"photos/{name}.png")
                Image.fromarray(mask.transpose(axes[:2]).copy()).save(f"masks/{name}.png")
                Path(f"photos/{name}.txt").write_text("a mug")


def outcomes(*arguments: str) -> dict[str, tuple[str, str]]:
    """Status and reason of each photo, by its id."""
    result = CliRunner().invoke(main, [*arguments, "--out", "out"])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    text = Path("out/manifest.jsonl").read_text(encoding="utf-8")
    lines = map(json.loads, text.splitlines())
    return {line["id"]: (line["status"], (line["reason"] or {}).get("code", "")) for line in lines}


def test_up_to_100_times_as_long_as_wide_is_looked_at() -> None:
    found = outcomes(
        "filter", "photos", "--class", "mug",
        "--set", "detect.box_threshold=0.01",
        "--set", "verify.threshold=0", "--set", "detect.text_threshold=0",
    )  # fmt: skip
    assert len(found) == len(RATIOS) * len(SIDES) * 2
    for id_, (status, reason) in found.items():
        assert status in ("kept", "skipped"), id_
        assert (reason == "too_narrow") == (int(id_.split("-")[0]) > 100), id_


def test_any_shape_is_re_rendered_where_it_is_masked() -> None:
    found = outcomes(
        "enhance", "photos", "--mask", "masks", "--class", "mug", "--set", "rerender.steps=1"
    )
    assert set(found.values()) == {("enhanced", "")}
    for path in Path("photos").glob("*.png"):
        assert read_image(Path("out/images", path.name)).rgb.shape == read_image(path).rgb.shape


@pytest.mark.parametrize("options", [{}, {"bucket_no_upscale": True}, {"enable_bucket": False}])
def test_any_shape_fills_its_bucket(options: dict[str, bool]) -> None:
    buckets = Buckets(resolution_wh=(64, 64), **LIMITS, **options)
    found, problems = examples(read_dataset("photos"), buckets)
    assert len(found) == len(RATIOS) * len(SIDES) * 2 and not problems
    for example in found:
        assert example.pixels().shape[1:] == example.fit.bucket_wh[::-1], example.name


def test_a_line_is_not_enlarged_before_it_is_cropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of 1 × 20,000 pixels took 6 GB: 768 × 15,360,000 pixels before the crop."""
    Path("lines").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (6000, 1, 3), np.uint8)
    Image.fromarray(noise).save("lines/a.png")
    Path("lines/a.txt").write_text("a mug")
    resize = Image.Image.resize

    def bounded(image: Image.Image, size: tuple[int, int], *more: Any, **named: Any) -> Image.Image:
        assert size[0] * size[1] <= 4 * 64 * 128, size
        return resize(image, size, *more, **named)

    (example,), _ = examples(read_dataset("lines"), Buckets(resolution_wh=(64, 64), **LIMITS))
    whole = Image.fromarray(noise).resize(example.fit.resized_wh, Image.Resampling.LANCZOS)
    expected = np.asarray(whole.crop(example.fit.crop_xyxy), np.float32) / 127.5 - 1
    monkeypatch.setattr(Image.Image, "resize", bounded)
    assert np.abs(example.pixels().transpose(1, 2, 0) - expected).max() <= 4 / 127.5
