"""Notes on presets below the forms of the page."""

from __future__ import annotations

import pytest

from visuals.configs.schema import load_settings
from visuals.pipeline.jobs.request import NEEDS
from visuals.pipeline.web.widgets.preset_notes import notes

RUN = ["generate", *NEEDS["run"]]


@pytest.mark.parametrize(
    ("presets", "needs", "forbidden", "unused"),
    [
        (["mini"], RUN, [], False),
        (["flux-schnell"], ["generate"], [], False),
        (["flux-schnell"], RUN, ["FLUX.1-dev-ControlNet-Union-Pro-2.0"], False),
        (["flux-edit"], ["rerender"], ["FLUX.1-Kontext-dev"], True),
        (["qwen-image-edit", "qwen-image-edit"], RUN, [], True),
        (["mini", "flux-dev"], ["generate"], ["FLUX.1-dev"], False),
    ],
)
def test_what_licences_forbid_and_what_has_no_effect(
    presets: list[str], needs: list[str], forbidden: list[str], unused: bool
) -> None:
    text = notes((load_settings(name) for name in presets), needs)
    assert text.count("Not for commercial use") == len(forbidden), text
    assert all(model in text for model in forbidden), text
    assert text.count("Strength is not used") == unused, text


@pytest.mark.parametrize(
    ("preset", "needs", "shown"),
    [("mini", RUN, True), ("mini", ["generate"], False), ("sd15", RUN, False)],
)
def test_the_strength_of_edits_is_noted_where_it_is_another(
    preset: str, needs: list[str], shown: bool
) -> None:
    text = notes([load_settings(preset, {})], needs)
    assert ("Edits are drawn at strength 1 until" in text) == shown, text
    moved = notes([load_settings(preset, {"rerender.strength": 0.5})], needs)
    assert "Edits are drawn" not in moved
