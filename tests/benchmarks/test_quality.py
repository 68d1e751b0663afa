"""The bench end to end: every measure runs, its table has a row a bar, its JSON the details."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.command_line import EVERYTHING

pytest.importorskip("numba")

from visuals.benchmarks.accuracy.detection import FIRST_SEED
from visuals.benchmarks.targets import BARS
from visuals.pipeline.cli import main

FAST = ("--set", "generate.steps=2", "--set", "rerender.steps=2")
CAPTIONS = {"caption_class", "caption_colour", "caption_scene"}
TRAINING = {name for name in BARS if name.startswith(("train_", "cache_"))}


@pytest.mark.usefixtures("renderer")
@pytest.mark.slow
def test_every_measure_runs_and_is_held_against_its_bar(mini: Path, tmp_path: Path) -> None:
    only = "detection,classes,colours,drawn-masks,vae,rerender,look,folder,help"
    out = tmp_path / "q.json"
    options = ["--only", only, "--pictures", "4", "--count", "1", "--out", str(out)]
    result = CliRunner().invoke(main, ["bench", "quality", *options, *FAST, *EVERYTHING])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    report = json.loads(out.read_text())
    assert set(report["values"]) == set(BARS) - {"run_seconds", "run_gib", *CAPTIONS, *TRAINING}
    assert report["values"]["changed_outside"] == {"value": 0.0, "bar": "== 0", "reached": True}
    assert report["values"]["recall"]["value"] == 1.0  # everything is found at threshold 0
    assert report["values"]["folder_changed_outside"]["value"] == 0
    assert "reached" in result.output


def test_captions_are_held_against_their_bars(blip: Path, tmp_path: Path) -> None:
    out = tmp_path / "q.json"
    options = ["--only", "captions", "--pictures", "2", "--set", f"caption.model={blip}"]
    result = CliRunner().invoke(main, ["bench", "quality", *options, "--out", str(out)])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    report = json.loads(out.read_text())
    assert set(report["values"]) == CAPTIONS
    assert report["details"]["captions"]["pictures"] == 2


def test_an_unknown_measure_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["bench", "quality", "--only", "beauty"])
    assert result.exit_code == 2 and "'beauty'" in result.output


def test_no_training_picture_is_held_out() -> None:
    from visuals.benchmarks.accuracy import folder_accuracy
    from visuals.checkpoints.recipe.diffusion import look_lora
    from visuals.checkpoints.recipe.pictures import rendered_pictures
    from visuals.checkpoints.recipe.training.budgets import PLANS

    plans = PLANS.values()
    single = range(FIRST_SEED + 5 * 100_000, FIRST_SEED + 65 * 100_000, 100_000)
    assert sum(folder_accuracy.SIZES.values()) == len(single)
    crowd = range(
        rendered_pictures.SEEDS["crowd"],
        rendered_pictures.SEEDS["crowd"] + max(p.crowd_pictures for p in plans),
    )
    assert not set(crowd) & set(single)
    assert crowd.start >= single.start  # past the measures that draw many of a hundred thousand
    assert (
        max(rendered_pictures.SEEDS["train"], rendered_pictures.SEEDS["val"]) + 10**6 <= FIRST_SEED
    )
    assert look_lora.FIRST_SEED >= FIRST_SEED + 10 * 100_000
