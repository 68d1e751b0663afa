"""Runs that draw with a model of one family and re-render with another's: recorded, resumed,
replayed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import EVERYTHING, checked, json_of, lines_of
from helpers.transformer_loras import flux_attention
from PIL import Image

from visuals.pipeline.runs import run_yaml

SMALL: dict[str, Any] = {
    "generate.steps": 1, "rerender.width": 64, "rerender.height": 64, "rerender.steps": 2,
    "rerender.min_structure": 0, "mask.mask_k": 1, "run.dtype": "float32", "run.retries": 0,
    "generate.batch_size": 1, "rerender.batch_size": 1,
}  # fmt: skip
"""In batches of one, so that a picture that is drawn alone has the same pixels."""


def mixed_run(
    out: Path, mini: Path, other: Path, changes: dict[str, Any], *words: object
) -> dict[str, dict[str, Any]]:
    """Draw two mugs with the embedded models and a model of `other`, with `changes`; check what
    holds for every mixture. Returns the lines of the manifest."""
    options = [
        w for key, value in {**SMALL, **changes}.items() for w in ("--set", f"{key}={value}")
    ]
    checked(
        "run", "--class", "mug", "--count", "2", "--seed", "1", "--edit", "make the mug green",
        *words, *EVERYTHING, *options, "--out", out,
    )  # fmt: skip
    made = lines_of(out)
    assert [line["status"] for line in made.values()] == ["enhanced"] * 2
    assert all(line["metrics"]["changed_outside"] == 0 for line in made.values())
    record = run_yaml.read(out)
    models = {record["settings"][stage]["model"] for stage in ("generate", "rerender")}
    assert str(other) in models and len(models) == 2
    for model in models:
        assert record["checkpoints"][model].startswith("sha256:"), model
    return made


def check_resume_and_replay(out: Path, made: dict[str, dict[str, Any]], again: Path) -> None:
    """Lose the last picture and its line: `resume` draws it alone, to the same pixels; `replay`
    draws all to the same pixels."""
    files = sorted((out / "images").glob("*.png"))
    pictures = {path: np.asarray(Image.open(path)) for path in files}
    manifest = out / "manifest.jsonl"
    first, second = manifest.read_text().splitlines(keepends=True)
    kept, lost = (out / made[json.loads(line)["id"]]["files"]["result"] for line in (first, second))
    manifest.write_text(first)
    lost.unlink()
    written = kept.stat().st_mtime_ns
    checked("resume", out)
    assert kept.stat().st_mtime_ns == written, "what was finished is not drawn again"
    assert all((np.asarray(Image.open(path)) == pictures[path]).all() for path in files)
    assert json_of("replay", out, "--out", again)["equal"] == 2


@pytest.mark.usefixtures("loaded_models")
def test_embedded_pictures_are_rerendered_by_kontext(
    mini: Path, flux: Path, tmp_path: Path
) -> None:
    changes = {
        "rerender.method": "edit", "rerender.model": flux / "kontext", "rerender.sampler": "Euler",
        "rerender.controls": "[]",
    }  # fmt: skip
    prompt = ("--prompt", "ppzmini, a {class}, <lora:ppzmini:0.6>")
    made = mixed_run(tmp_path / "run", mini, flux / "kontext", changes, *prompt)
    for line in made.values():
        assert line["prompts"] == ["make the mug green"] and line["files"]["control"] is None
    assert run_yaml.read(tmp_path / "run")["settings"]["rerender"]["method"] == "edit"
    picture = Image.open(next((tmp_path / "run" / "images").glob("*.png")))
    info = picture.text["parameters"]
    assert f"Model: {flux / 'kontext'}" in info and "Denoising strength" not in info
    check_resume_and_replay(tmp_path / "run", made, tmp_path / "again")


@pytest.mark.usefixtures("loaded_models")
def test_pictures_of_flux_are_rerendered_by_the_embedded_model(
    mini: Path, flux: Path, tmp_path: Path
) -> None:
    changes = {
        "generate.model": flux / "base", "generate.sampler": "Euler", "generate.cfg_scale": 1,
        "generate.width": 64, "generate.height": 64, "rerender.model": "mini/sd",
    }  # fmt: skip
    flux_attention(tmp_path, "kohya")
    prompt = ("--prompt", "a red {class}, <lora:kohya:1>", "--lora-dir", tmp_path)
    made = mixed_run(tmp_path / "run", mini, flux / "base", changes, *prompt)
    assert all(line["files"]["control"] for line in made.values())
    assert {p for line in made.values() for p in line["prompts"]} == {
        "a red make the mug green mug"
    }
    check_resume_and_replay(tmp_path / "run", made, tmp_path / "again")
