"""Requests of the studio: as commands, checked, and read back from run folders."""

from __future__ import annotations

import pickle
import shlex
from pathlib import Path

import pytest
import yaml

from visuals.configs.errors import RunFolderError
from visuals.pipeline.jobs.draw_grid import GridRequest
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.jobs.resolve import resolve
from visuals.pipeline.web.queue import requests
from visuals.pipeline.web.queue.requests import CaptionRequest, ResumeRequest, TrainRequest


def test_a_request_is_typed_as_it_reads() -> None:
    request = RunRequest(classes=["mug"], edit='"odd" text', overrides={"generate.sampler": "DDIM"})
    words = shlex.split(str(request))
    assert words == ["visuals", *request.words()]
    assert words[-2:] == ["--set", "generate.sampler=DDIM"]
    train = TrainRequest("loras/a b.yaml", resume=True)
    assert str(train) == "visuals train 'loras/a b.yaml' --resume"
    assert str(ResumeRequest("runs/a b")) == "visuals resume 'runs/a b'"
    caption = CaptionRequest("sets/x", overwrite=True)
    assert str(caption) == "visuals dataset caption sets/x --preset mini --overwrite"


@pytest.mark.parametrize(
    "request_",
    [
        RunRequest(classes=["mug"], steps=3, overrides={"refiner": None}),
        GridRequest(prompts=("a mug",), seeds=(1, 2)),
        ResumeRequest("runs/a b"),
        TrainRequest("loras/look.yaml"),
        CaptionRequest("sets/x", "tag"),
    ],
)
def test_requests_reach_the_worker_unchanged(request_: requests.Request) -> None:
    assert pickle.loads(pickle.dumps(request_)) == request_


@pytest.mark.parametrize(
    "values",
    [
        {"preset": "nope"},
        {"strength": 1.4},
        {"prompt": "x <lora:nowhere:1>"},
    ],
)
def test_what_the_command_would_refuse_is_refused_before(
    values: dict[str, object], mini: Path
) -> None:
    with pytest.raises(ValueError):
        requests.check(RunRequest(classes=["mug"], **values))


@pytest.mark.parametrize(
    "request_",
    [
        RunRequest(classes=["mug"], count=1, edit="red", steps=2),
        RunRequest(classes=["mug"], prompt="a {class}", negative_prompt="blur", strength=0.5),
        RunRequest(command="filter", inputs=["photo.jpg"], classes=["mug"], confidence=0.7),
        RunRequest(command="generate", classes=["mug"], count=1),
        RunRequest(classes=["mug"], seed=7, preset="mini", overrides={"rerender.padding": 16}),
    ],
)
def test_a_run_folder_gives_its_request_back(
    request_: RunRequest, mini: Path, own_home: Path
) -> None:
    resolved = resolve(request_)
    record = {"request": resolved.record(), "settings": resolved.settings.model_dump(mode="json")}
    Path("run").mkdir()
    Path("run/run.yaml").write_text(yaml.safe_dump(record))
    again = requests.request_of_run(Path("run"))
    assert again.out is None and again.command == request_.command
    assert "verify" not in str(again)
    assert resolve(again).settings == resolved.settings
    assert resolve(again).record() == resolved.record()


def test_a_folder_without_a_run_gives_no_request(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError):
        requests.request_of_run(tmp_path)
    (tmp_path / "run.yaml").write_text("- a list")
    with pytest.raises(RunFolderError, match="expected request and settings"):
        requests.request_of_run(tmp_path)
