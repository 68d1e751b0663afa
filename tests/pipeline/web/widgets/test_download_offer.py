"""What pressing a button would download first, against a stand-in of the hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.hub_stand_in import Hub, connect, files_of

pytest.importorskip("gradio", reason="gradio is not installed")

from visuals.checkpoints.hub import first_use
from visuals.pipeline.jobs.draw_grid import GridRequest
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.web.queue.requests import needed_models
from visuals.pipeline.web.widgets.download_offer import offer

SAM = "facebook/sam-vit-base"


def test_missing_models_are_offered_with_their_sizes(
    own_home: Path, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = RunRequest(classes=["mug"], overrides={"segment.model": SAM})
    with Hub() as hub:
        connect(monkeypatch, hub, own_home / "hub")
        hub.add(SAM, files_of(mini / "sam"))
        said = offer(needed_models(request), "Make pictures")
        assert "Press <b>Make pictures</b> again to download" in said
        assert f"<li>{SAM}, 7" in said and "iB in all" in said
        first_use.fetch(first_use.missing(needed_models(request)))
        assert offer(needed_models(request), "Make pictures") == ""


def test_a_grid_needs_the_models_of_its_presets_and_checkpoints() -> None:
    grid = GridRequest(prompts=("a mug",), presets=("mini", "sd15"), checkpoints=("mini/sd",))
    assert {model.ref for model in needed_models(grid)} == {"mini/sd"}
