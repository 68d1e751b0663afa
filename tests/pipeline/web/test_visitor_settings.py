"""Page and API refuse, by one list, what names a path of the server or loosens safety."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")

from visuals.configs.errors import UsageError
from visuals.configs.schema import SettingsError
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.web import visitor_settings
from visuals.pipeline.web.queue import requests
from visuals.pipeline.web.tabs.compare import grid_form
from visuals.pipeline.web.tabs.create import form as create
from visuals.pipeline.web.tabs.train.form import Form, more_of
from visuals.pipeline.web.widgets import prompt_preview


@pytest.mark.parametrize(
    "values",
    [
        {"mask": "/etc"},
        {"prompt_file": "/etc/passwd"},
        {"init_image": "/etc/passwd"},
        {"references": ["/etc/passwd"]},
        {"allow_pickle": True},
        {"device": "cuda"},
        {"engine": {"name": "ray"}},
        {"copy_skipped": True},
        {"background": "/etc/passwd"},
        {"edits": ["red", "<lora:nowhere:1> blue"]},
        {"edits": [f"red {k}" for k in range(21)]},
        {"overrides": {"run.allow_pickle": True}},
        {"overrides": {"generate.wildcard_dirs": ["/etc"]}},
        {"overrides": {"generate.lora_dirs": ["/etc"]}},
        {"overrides": {"generate.backend": "replicate"}},
        {"overrides": {"generate.model": "mini/sd"}},
        {"overrides": {"controls.canny.model": "/srv/models"}},
        {"overrides": {"refiner.model": "/srv/models"}},
        {"overrides": {"refiner": {"model": "/srv/models"}}},
        {"overrides": {"refiner.model": "stranger/model"}},
        {"preset": "evil.yaml"},
    ],
)
def test_a_request_sets_only_what_a_visitor_may(values: dict[str, Any], mini: Path) -> None:
    Path("evil.yaml").write_text("generate: {secret_of_the_server: 1}")
    with pytest.raises(UsageError) as error:
        requests.check(RunRequest(classes=["mug"], **values))
    assert "secret_of_the_server" not in str(error.value)


def test_every_field_of_the_api_may_be_set(mini: Path) -> None:
    values: dict[str, Any] = {
        "classes": ["mug"], "count": 2, "prompt": "a {class}", "negative_prompt": "x",
        "edit": "red", "strength": 0.5, "confidence": 0.5, "steps": 2, "cfg_scale": 3.0,
        "sampler": "DDIM", "width": 64, "height": 64, "seed": 1, "preset": "mini", "cutout": True,
        "background": "white",
    }  # fmt: skip
    assert {*values, "edits"} == visitor_settings.FIELDS
    requests.check(RunRequest(**values))
    requests.check(RunRequest(classes=["mug"], edits=["red", "blue"]))


def test_no_form_reads_a_preset_or_a_model_by_its_path(tmp_path: Path) -> None:
    evil = str(tmp_path / "evil.yaml")
    Path(evil).write_text("generate: {secret_of_the_server: 1}")
    create_values: list[Any] = [
        ["mug"],
        "",
        "",
        1,
        evil,
        0,
        "",
        64,
        64,
        "DDIM",
        1,
        1,
        1,
        "",
        0.8,
        "",
        "",
    ]
    grid: list[Any] = [tmp_path, ["mug"], "a {class}", "", "0", [evil], "", "", "", "", "", ""]
    for form in (
        lambda: create.request_of(*create_values),
        lambda: grid_form.request_of(*grid),
        lambda: prompt_preview.preview("a mug", ["mug"], "", evil),
    ):
        with pytest.raises(SettingsError, match="unknown preset") as error:
            form()
        assert "secret_of_the_server" not in str(error.value)
    grid[5:7] = [["mini"], str(tmp_path)]
    with pytest.raises(UsageError, match="takes names that"):
        grid_form.request_of(*grid)
    with pytest.raises(UsageError, match="takes names that"):
        Form(model=str(tmp_path)).values(tmp_path / "runs", "data", "", 1)


@pytest.mark.parametrize("text", ["allow_pickle: true", "report_to: wandb", "model: /etc"])
def test_a_training_sets_only_what_a_visitor_may(text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        more_of(tmp_path / "runs", text)
