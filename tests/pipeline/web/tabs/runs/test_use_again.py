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
from visuals.pipeline.runs.manifest import DetectionRecord, ManifestRecord
from visuals.pipeline.web.files import run_overview
from visuals.pipeline.web.tabs.create.form import request_of
from visuals.pipeline.web.tabs.runs import use_again


def run_of(request: RunRequest, name: str = "run") -> Path:
    """The folder of a run that was stopped before its first picture."""
    resolved = resolve(request)
    record = {"request": resolved.record(), "settings": resolved.settings.model_dump(mode="json")}
    folder = Path(name)
    folder.mkdir()
    (folder / "run.yaml").write_text(yaml.safe_dump(record))
    return folder


def test_the_form_makes_the_same_pictures(mini: Path, own_home: Path) -> None:
    request = RunRequest(
        classes=["mug", "car"], count=3, edit="red", prompt="a {class}", negative_prompt="blur",
        strength=0.5, sampler="Euler a", background="white", overrides={"generate.first_seed": 77},
    )  # fmt: skip
    values, notes = use_again.values_of_run(run_of(request))
    again = resolve(request_of(**values))
    assert not notes
    of_both = [
        [(s.id, s.source, s.edit) for s in plan_shots(r, Reporter()).shots]
        for r in (resolve(request), again)
    ]
    assert of_both[0] == of_both[1]
    assert again.request.background == "white"
    assert again.settings.rerender.strength == 0.5 and again.settings.generate.sampler == "Euler a"


def test_several_edits_are_all_taken(mini: Path, own_home: Path) -> None:
    request = RunRequest(
        classes=["mug"], edits=["red", "blue"], overrides={"generate.first_seed": 7}
    )
    folder = run_of(request)
    values, notes = use_again.values_of_run(folder)
    assert not notes and request_of(**{"count": 1, **values}).edits == ("red", "blue")
    (folder / "manifest.jsonl").touch()
    assert run_overview.overview(Path(), "run").words == "red, blue"


def test_seeds_that_do_not_count_up_are_named(mini: Path, own_home: Path) -> None:
    _, notes = use_again.values_of_run(run_of(RunRequest(classes=["mug"], seed=5)))
    assert "Run again repeats them all" in notes[-1]


def test_a_run_of_photos_fills_enhance_in(mini: Path, own_home: Path) -> None:
    search = RunRequest(command="filter", inputs=["a.jpg"], classes=["mug"], confidence=0.42)
    (run_of(search, "found") / "manifest.jsonl").touch()
    request = RunRequest(
        command="enhance", inputs=["found"], classes=["mug"], edits=["red", "blue"], seed=7,
        prompt="a {class}", strength=0.5, cutout=True,
        overrides={"rerender.steps": 9, "rerender.padding": 16},
    )  # fmt: skip
    values, notes = use_again.values_for_enhance(run_of(request))
    assert values == {
        "classes": ["mug"], "edit": "red\nblue", "prompt": "a {class}", "preset": "mini",
        "threshold": 0.42, "strength": 0.5, "steps": 9, "seed": 7, "cutout": "transparency",
    }  # fmt: skip
    assert notes == ["not honoured: rerender.padding 16"]


def test_what_enhance_has_no_field_for_is_named(mini: Path, own_home: Path) -> None:
    Path("own.yaml").write_text("base: mini\nrerender: {strength: 0.3}")
    request = RunRequest(
        command="enhance", inputs=["photo.jpg"], classes=["mug"], preset="own.yaml",
        background="studio.jpg", confidence=0.02,
    )  # fmt: skip
    folder = run_of(request)
    found = DetectionRecord(label="mug", score=0.9, box_xyxy=(0, 0, 8, 8), edit="blue")
    record = ManifestRecord(id="photo", seed=0, status="enhanced", detections=(found,))
    (folder / "manifest.jsonl").write_text(record.to_json() + "\n")
    values, notes = use_again.values_for_enhance(folder)
    assert (values["preset"], values["strength"], values["threshold"]) == ("mini", 0.3, 0.1)
    assert values["cutout"] == "picture"
    assert [note.split(":")[0] for note in notes] == [
        "choose the picture behind the product again", "not honoured", "not honoured",
    ]  # fmt: skip
    assert "preset own.yaml" in notes[1] and "words of single instances" in notes[2]


def test_a_run_of_photos_is_not_for_create(mini: Path, own_home: Path) -> None:
    folder = run_of(RunRequest(command="filter", inputs=["photo.jpg"], classes=["mug"]))
    assert use_again.of_photos(folder)
    with pytest.raises(UsageError, match="made of a photo"):
        use_again.values_of_run(folder)
