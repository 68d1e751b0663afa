"""Notes on presets below the forms of the page."""

from __future__ import annotations

import pytest

from visuals.configs.schema import load_settings
from visuals.pipeline.jobs.request import NEEDS
from visuals.pipeline.web.widgets.preset_notes import notes, strength_label

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


def test_the_label_names_the_strength_of_edits_where_it_is_another() -> None:
    def label(preset: str, **own: float) -> str:
        settings = load_settings(preset, {f"rerender.{name}": value for name, value in own.items()})
        return strength_label(settings.rerender, "Strength")

    assert label("mini") == "Strength (edits: 1 until moved)"
    assert label("mini", strength=0.5) == label("sd15") == "Strength"
