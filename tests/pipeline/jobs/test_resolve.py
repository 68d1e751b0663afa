"""Which requests need a class: all that look for a product, and prompts with {class} in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.command_line import json_of

from visuals.pipeline.jobs.engine_options import RequestError
from visuals.pipeline.jobs.plan import plan_shots
from visuals.pipeline.jobs.reporter import Reporter
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.jobs.resolve import resolve
from visuals.pipeline.runs.manifest import read_records

pytestmark = pytest.mark.usefixtures("loaded_models")


def test_pictures_of_a_full_prompt_need_no_class(mini: Path) -> None:
    request = RunRequest(command="generate", prompt="a red mug", count=2)
    plan = plan_shots(resolve(request), Reporter())
    assert [shot.id for shot in plan.shots] == ["picture-0001", "picture-0002"]
    assert all(shot.classes == () and shot.prompt == "a red mug" for shot in plan.shots)


@pytest.mark.parametrize(
    "values",
    [
        {"command": "generate", "prompt": "a red {class}"},
        {"command": "generate"},
        {"prompt": "mug"},
    ],
)
def test_others_do(values: dict[str, str], mini: Path) -> None:
    with pytest.raises(RequestError, match="no --class: expected the product to look for"):
        resolve(RunRequest(**values))


def test_photos_may_have_names_that_are_not_utf8_and_texts_may_not() -> None:
    """`visuals filter *.jpg` was refused for one such name among many."""
    names = ("a.jpg", "m\udcfcller.jpg")
    assert RunRequest(command="filter", inputs=names, classes=("mug",)).inputs == names
    for field in ("prompt", "negative_prompt", "edit"):
        with pytest.raises(RequestError, match=f"{field} .*valid string"):
            RunRequest(classes=("mug",), **{field: "m\udcfcller"})  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="expected the name of a photo"):
        RunRequest(command="filter", inputs=("",), classes=("mug",))


def test_a_run_without_class_is_resumed_and_enhanced(mini: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    few = ("--set", "generate.steps=1", "--set", "rerender.steps=2")
    words = ("generate", "--prompt", "a red mug", *few, "--out", run)
    assert json_of(*words, "--count", "1")["kept"] == 1
    assert json_of(*words, "--count", "2")["resumed"] == 1
    assert json_of("resume", run)["resumed"] == 2
    done = json_of("enhance", run, "--class", "mug", *few, "--out", str(tmp_path / "enhanced"))
    assert done["total"] == 2
    assert [one.classes for one in read_records(tmp_path / "enhanced")] == [("mug",), ("mug",)]
