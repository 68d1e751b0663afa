"""The fields of Create filled in from a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("gradio", reason="gradio is not installed")

from visuals.configs.errors import UsageError
from visuals.pipeline.jobs.plan import plan_shots
from visuals.pipeline.jobs.reporter import Reporter
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.jobs.resolve import resolve
from visuals.pipeline.web.files import run_overview
from visuals.pipeline.web.tabs.create.form import request_of
from visuals.pipeline.web.tabs.runs import use_again


def run_of(request: RunRequest) -> Path:
    """The folder of a run that was stopped before its first picture."""
    resolved = resolve(request)
    record = {"request": resolved.record(), "settings": resolved.settings.model_dump(mode="json")}
    folder = Path("run")
    folder.mkdir()
    (folder / "run.yaml").write_text(yaml.safe_dump(record))
    return folder


def test_the_form_makes_the_same_pictures(mini: Path, own_home: Path) -> None:
    request = RunRequest(
        classes=["mug", "car"], count=3, edit="red", prompt="a {class}", negative_prompt="blur",
        strength=0.5, sampler="Euler a", overrides={"generate.first_seed": 77},
    )  # fmt: skip
    values, notes = use_again.values_of_run(run_of(request))
    again = resolve(request_of(**values))
    assert not notes
    of_both = [
        [(s.id, s.source, s.edit) for s in plan_shots(r, Reporter()).shots]
        for r in (resolve(request), again)
    ]
    assert of_both[0] == of_both[1]
    assert again.settings.rerender.strength == 0.5 and again.settings.generate.sampler == "Euler a"


def test_the_first_of_several_edits_is_taken_and_the_others_are_named(
    mini: Path, own_home: Path
) -> None:
    request = RunRequest(
        classes=["mug"], edits=["red", "blue"], overrides={"generate.first_seed": 7}
    )
    folder = run_of(request)
    values, notes = use_again.values_of_run(folder)
    assert values["edit"] == use_again.edit_of(folder) == "red"
    assert notes == ["not honoured: 1 more edits; Run again takes them all"]
    (folder / "manifest.jsonl").touch()
    assert run_overview.overview(Path(), "run").words == "red, blue"


def test_seeds_that_do_not_count_up_are_named(mini: Path, own_home: Path) -> None:
    _, notes = use_again.values_of_run(run_of(RunRequest(classes=["mug"], seed=5)))
    assert "Run again repeats them all" in notes[-1]


def test_a_run_of_photos_is_not_for_create(mini: Path, own_home: Path) -> None:
    folder = run_of(RunRequest(command="filter", inputs=["photo.jpg"], classes=["mug"]))
    assert use_again.of_photos(folder)
    with pytest.raises(UsageError, match="made of a photo"):
        use_again.values_of_run(folder)
