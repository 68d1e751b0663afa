"""Models loaded once answer requests as the commands do, whatever was asked before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.replicate_stand_in import MODEL, TOKEN, Ending, Replicate

from visuals.pipeline.cli import main
from visuals.pipeline.images.read import read_image
from visuals.pipeline.jobs.engine_options import RequestError
from visuals.pipeline.jobs.model_server import ModelServer
from visuals.pipeline.jobs.request import RunRequest
from visuals.stages.shot import Shot

pytestmark = pytest.mark.usefixtures("loaded_models")

MUG = Path(__file__).parents[3] / "samples" / "photos" / "04-teal-mug.jpg"
EVERYTHING = {
    "detect.box_threshold": 0.0,
    "detect.text_threshold": 0.0,
    "verify.threshold": 0.0,
    "mask.mask_k": 1,
}


@pytest.fixture(scope="module")
def models(mini: Path) -> ModelServer:
    return ModelServer("mini", EVERYTHING)


def asked(models: ModelServer, *classes: str, **given: Any) -> list[Shot]:
    values = {"classes": classes or ("mug",), "steps": 2, "seed": 5, "count": 1, **given}
    request = RunRequest(**values)
    return [shot for shot, _ in models.run(request)]


def of_the_command(tmp_path: Path, *words: str) -> np.ndarray:
    given = ["--set", "generate.steps=2", "--set", "rerender.steps=2", "--seed", "5"]
    given += [word for k, v in EVERYTHING.items() for word in ("--set", f"{k}={v}")]
    out = tmp_path / "o"
    result = CliRunner().invoke(
        main, ["run", *words, "--class", "mug", *given, "--out", str(out), "--json"]
    )
    assert result.exit_code == 0, result.output
    (path,) = json.loads(result.stdout)["pictures"]
    return read_image(path).rgb


def test_a_request_draws_what_the_command_draws(models: ModelServer, tmp_path: Path) -> None:
    (first,) = asked(models)
    assert first.status == "enhanced" and first.result is not None
    (other,) = asked(models, "car", prompt="a {class}, <lora:ppzmini:0.3>", strength=0.4, width=64)
    assert other.image is not None and other.image.shape == (224, 64, 3)
    assert other.source.prompt == "a car, <lora:ppzmini:0.3>"  # type: ignore[union-attr]
    (again,) = asked(models)
    assert again.result is not None and np.array_equal(again.result, first.result)
    assert np.array_equal(of_the_command(tmp_path, "--count", "1"), first.result)


def test_a_photo_becomes_what_the_command_makes_of_it(models: ModelServer, tmp_path: Path) -> None:
    (shot,) = asked(models, inputs=[str(MUG)], edit="{red|blue}", strength=0.5)
    assert shot.status == "enhanced" and shot.result is not None
    assert shot.edit in ("red", "blue")
    words = (str(MUG), "--edit", "{red|blue}", "--strength", "0.5")
    assert np.array_equal(of_the_command(tmp_path, *words), shot.result)


def test_a_request_that_cannot_be_done_leaves_the_next_alone(models: ModelServer) -> None:
    for given in ({"strength": 3.0}, {"width": 100}, {"prompt": "<lora:none:1>"}):
        with pytest.raises(ValueError):
            asked(models, **given)
    with pytest.raises(RequestError, match="seed -2"):
        asked(models, seed=-2)
    with pytest.raises(RequestError, match="no --class"):
        list(models.run(RunRequest(classes=())))
    (shot,) = asked(models, inputs=[str(MUG)], confidence=1.0)
    assert shot.status == "skipped" and shot.reason and shot.reason.code == "no_detection"
    (shot,) = asked(models)
    assert shot.status == "enhanced"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicate]:
    with Replicate(lambda inputs: Ending(data=[MUG.read_bytes()])) as running:
        monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)
        monkeypatch.setenv("REPLICATE_API_BASE_URL", running.url)
        yield running


def test_stage_1_may_be_elsewhere(mini: Path, host: Replicate) -> None:
    hosted = {"generate.backend": "replicate", "generate.version": MODEL}
    models = ModelServer("mini", EVERYTHING | hosted)
    (shot,) = asked(models, prompt="a {class}", negative_prompt="blur", cfg_scale=3.0)
    assert shot.status == "enhanced" and shot.image is not None
    assert np.array_equal(shot.image, read_image(MUG).rgb)
    (sent,) = host.sent()
    assert (sent["prompt"], sent["negative_prompt"], sent["guidance_scale"]) == ("a mug", "blur", 3)
    assert sent["num_inference_steps"] == 2 and sent["seed"] == shot.seed
