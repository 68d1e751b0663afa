"""Settings: presets load, and what is wrong is said in one line each, all together."""

from __future__ import annotations

from pathlib import Path

import pytest

from visuals.configs.schema import NULL, SettingsError, check, load_settings, merge, presets
from visuals.configs.template import description


@pytest.mark.parametrize("name", presets())
def test_presets_load_and_round_trip(name: str) -> None:
    settings = load_settings(name)
    assert check(settings.model_dump(mode="json")) == settings
    assert "{class}" in settings.generate.prompt


def test_mini_is_256_px_and_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUALS_PRESETS")
    settings = load_settings()
    assert (settings.generate.width, settings.generate.height) == (256, 256)
    assert settings.generate.model.startswith("mini/")


def test_presets_of_a_folder_have_names_and_stand_on_those_that_ship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUALS_PRESETS", str(tmp_path))
    (tmp_path / "shop.yaml").write_text("# Shoes on white.\nbase: mini\n")
    (tmp_path / "mini.yaml").write_text("base: mini\ngenerate:\n  steps: 3\n")
    assert {"mini", "shop", "sdxl"} <= set(presets()) and presets().count("mini") == 1
    assert load_settings("shop") == load_settings("mini")
    assert (load_settings("mini").generate.steps, load_settings("mini").generate.width) == (3, 256)
    assert description("shop") == "Shoes on white"
    (tmp_path / "shop.yaml").write_text("base: shop")
    with pytest.raises(SettingsError, match="a base of itself"):
        load_settings("shop")


def test_all_problems_at_once_with_the_nearest_key() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings("mini", {"rerender.strenght": 0.3, "run.sed": 1, "rerender.strength": 1.4})
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "'rerender.strenght'; did you mean 'strength'?" in problems
    assert "'run.sed'; did you mean 'seed'?" in problems
    assert "rerender.strength 1.4" in problems and "set rerender.strength" in problems


def test_unknown_section_and_preset_name_the_nearest() -> None:
    with pytest.raises(SettingsError, match="'generte'; did you mean 'generate'"):
        load_settings("mini", {"generte.steps": 3})
    with pytest.raises(SettingsError, match="'minni'; did you mean 'mini'"):
        load_settings("minni")


def test_a_file_builds_on_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: mini\nrerender:\n  strength: 0.5\n")
    settings = load_settings(str(path), {"rerender.steps": 7, "run.seed": None})
    assert (settings.rerender.strength, settings.rerender.steps) == (0.5, 7)
    assert settings.generate == load_settings().generate


@pytest.mark.parametrize("text", ["a: [", "just words", "base: nowhere"])
def test_bad_files_are_said_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key"),
    [("rerender", "strength"), ("generate", "cfg_scale"), ("detect", "box_threshold")],
)
@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e999", "'nan'"])
def test_numbers_are_finite(tmp_path: Path, section: str, key: str, value: str) -> None:
    (tmp_path / "x.yaml").write_text(f"base: mini\n{section}: {{{key}: {value}}}\n")
    with pytest.raises(SettingsError, match=f"{section}.{key} .*should be a finite number"):
        load_settings(str(tmp_path / "x.yaml"))


@pytest.mark.parametrize(
    "setting", ["generate: {prompt: T}", "classes: {T: {}}", "classes: {a: {phrases: [T]}}"]
)
def test_texts_hold_no_half_characters(tmp_path: Path, setting: str) -> None:
    text = setting.replace("T", r'"a \ud800"')
    (tmp_path / "x.yaml").write_text(f"base: mini\n{text}\n")
    with pytest.raises(SettingsError, match=r"valid string|invalid Unicode character"):
        load_settings(str(tmp_path / "x.yaml"))


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**23, 10**400])
def test_numbers_are_of_a_size_that_files_hold(number: int) -> None:
    """Else the run.yaml that a run writes could not be read again."""
    for name in ("mask.x_offset", "rerender.padding", "run.batch_size"):
        if number > 0 or name == "mask.x_offset":
            with pytest.raises(
                SettingsError, match=rf"{name.partition('.')[2]}: a number of .* bits"
            ):
                load_settings("mini", {name: number})


def test_settings_are_frozen_and_merge_changes_nothing_given() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.run.seed = 3  # type: ignore[misc]
    low = {"a": {"b": 1}}
    assert merge(low, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}} and low == {"a": {"b": 1}}


def test_controls_are_chosen_by_name_and_unknown_ones_refused() -> None:
    settings = load_settings(
        "mini", {"rerender.controls": ["depth"], "controls.depth.conditioning_scale": 0.5}
    )
    assert [c.kind for c in settings.leading] == ["depth"]
    assert settings.leading[0].conditioning_scale == 0.5
    with pytest.raises(SettingsError, match=r"unknown control 'dept'; did you mean 'depth'"):
        load_settings("mini", {"rerender.controls": ["dept"]})
    with pytest.raises(SettingsError, match=r"controls.depth.lo'; did you mean 'low'"):
        load_settings("mini", {"controls.depth.lo": 3})


def test_segment_anything_is_chosen_by_name_and_groundingdino_py_refused_with_its_reason() -> None:
    chosen = load_settings("mini", {"segment.library": "segment-anything"})
    assert chosen.segment.library == "segment-anything"
    with pytest.raises(SettingsError, match="BertModel that transformers 5 no longer has"):
        load_settings("mini", {"detect.library": "groundingdino-py"})


@pytest.mark.parametrize("name", ["run.seed", "generate.cfg_scale", "generate.first_seed"])
def test_a_word_that_yaml_reads_as_true_is_no_number(tmp_path: Path, name: str) -> None:
    section, key = name.split(".")
    (tmp_path / "mine.yaml").write_text(f"base: mini\n{section}:\n  {key}: yes\n")
    with pytest.raises(SettingsError, match=f"{key}: true; expected a number"):
        load_settings(str(tmp_path / "mine.yaml"))
    assert load_settings("mini", {"rerender.color_correction": True}).rerender.color_correction


def test_a_section_as_a_whole_can_only_be_null() -> None:
    assert load_settings("sdxl-refined", {"refiner": NULL}).refiner is None
    with pytest.raises(SettingsError, match=r"expected section\.name"):
        load_settings("mini", {"rerender": {"strength": 0.5}})


def test_a_strength_over_a_preset_is_that_of_edits_too(tmp_path: Path) -> None:
    usual = load_settings().rerender
    assert (usual.strength, usual.edit_strength) == (0.6, 1)
    path = tmp_path / "mine.yaml"
    path.write_text("base: mini\nrerender:\n  strength: 0.5\n")
    for settings in (load_settings(str(path)), load_settings("mini", {"rerender.strength": 0.5})):
        assert (settings.rerender.strength, settings.rerender.edit_strength) == (0.5, None)
    both = load_settings("mini", {"rerender.strength": 0.5, "rerender.edit_strength": 0.9})
    assert (both.rerender.strength, both.rerender.edit_strength) == (0.5, 0.9)
