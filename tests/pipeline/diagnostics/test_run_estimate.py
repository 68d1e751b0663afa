"""What --dry-run says that a run needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.command_line import checked, json_of

from visuals.configs.schema import load_settings
from visuals.pipeline.runs import run_yaml

PHOTOS = Path(__file__).resolve().parents[3] / "samples" / "photos"
WORDS = ("generate", "-c", "mug", "-n", "1200")


@pytest.mark.usefixtures("mini", "own_home")
def test_the_time_is_that_of_an_earlier_run_with_the_same_models_and_steps() -> None:
    assert json_of(*WORDS, "--dry-run")["estimate"] == {
        "missing": {}, "memory_gib": None, "cpu_gib": None, "embedded": True, "seconds": None,
        "like": None,
    }  # fmt: skip
    folder = Path("runs/earlier")
    folder.mkdir(parents=True)
    settings = load_settings("mini", {"run.seed": 4}).model_dump(mode="json")
    run_yaml.write(folder, {"request": {"needs": ["generate"]}, "settings": settings})
    lines = [
        {"id": f"mug-{k}", "seed": k, "status": "kept", "seconds": {"generate": k}} for k in (1, 2)
    ]
    lines.append({"id": "x", "seed": 3, "status": "failed", "seconds": {"generate": 99}})
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    result = checked(*WORDS, "--dry-run")
    assert result.stdout.count("\n") == 20 and "1,200 pictures in all" in result.stderr
    assert "30 min, 1.5 s a picture as in runs/earlier" in result.stderr
    assert "models    all are here" in result.stderr
    planned = json_of(*WORDS, "--dry-run")
    assert (planned["pictures"], planned["to_do"], len(planned["shots"])) == (1200, 1200, 20)
    for other in (("--steps", "3"), ("--device", "cpu"), ("--width", "64")):
        assert "time      not known" in checked(*WORDS, *other, "--dry-run").stderr


@pytest.mark.usefixtures("mini", "own_home")
@pytest.mark.parametrize(
    ("stages", "inputs", "known"),
    [
        ((), ["photos"], True),
        (("rerender",), ["photos"], False),
        (("generate",), None, False),
        ((), ["runs/other"], False),
    ],
)
def test_runs_through_other_stages_or_of_other_pictures_tell_no_time(
    stages: tuple[str, ...], inputs: list[str] | None, known: bool
) -> None:
    shutil.copytree(PHOTOS, "photos")
    settings = load_settings("mini").model_dump(mode="json")
    seconds = dict.fromkeys(("load", "detect", "segment", *stages), 2)
    line = json.dumps({"id": "x", "seed": 1, "status": "kept", "seconds": seconds})
    for name in ("earlier", "other"):
        folder = Path("runs", name)
        folder.mkdir(parents=True)
        run_yaml.write(folder, {"request": {"inputs": inputs}, "settings": settings})
        (folder / "manifest.jsonl").write_text(f"{line}\n")
    found = json_of("filter", "photos", "-c", "mug", "--dry-run", "-o", "runs/new")["estimate"]
    assert (found["seconds"] is not None) == known


@pytest.mark.usefixtures("mini", "own_home")
def test_what_is_not_known_is_said_to_be_so() -> None:
    """Without the hub no sizes are known."""
    done = checked("generate", "--preset", "sd15", "-c", "mug", "--dry-run").stderr
    assert "stable-diffusion-v1-5/stable-diffusion-v1-5, size not known" in done
    assert "sam-vit" not in done and "4 GiB on a GPU, 8 GiB on a CPU" in done
    half = checked("generate", "--preset", "zimage", "-c", "mug", "--dry-run").stderr
    assert "22 GiB on a GPU, 22 GiB on a CPU" in half, "its dtype is of 16 bits"
