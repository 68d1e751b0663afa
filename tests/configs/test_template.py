"""Settings files to edit, and what presets are for."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.command_line import checked, visuals

from visuals.configs.schema import load_settings, presets
from visuals.configs.template import template


@pytest.mark.parametrize("preset", presets())
def test_a_template_changes_nothing_and_holds_every_setting(preset: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = template(preset)
    file.write_text(text, encoding="utf-8")
    assert load_settings(str(file)) == load_settings(preset)
    body = text.split("base:")[1].splitlines()
    file.write_text("base:" + "\n".join(line.removeprefix("# ") for line in body), encoding="utf-8")
    assert load_settings(str(file)) == load_settings(preset)
    assert "#   strength: " in text and "  # how much of a product is redrawn" in text


def test_one_setting_is_uncommented(tmp_path: Path) -> None:
    text = template("mini").replace("# rerender:", "rerender:")
    text = text.replace("#   mask_blur: 1 ", "  mask_blur: 3 ")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert load_settings(str(tmp_path / "mine.yaml")).rerender.mask_blur == 3


def test_config_init_and_list() -> None:
    assert checked("config", "init", "--preset", "sd15").stdout == "settings  visuals.yaml\n"
    written = Path("visuals.yaml").read_bytes()
    assert checked("config", "validate", "visuals.yaml")
    assert "visuals.yaml is there already" in checked("config", "init", code=2).stderr
    assert Path("visuals.yaml").read_bytes() == written
    assert "unknown preset" in visuals("config", "init", "x.yaml", "--preset", "nope").stderr
    lines = checked("config", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == presets()
    assert all(20 < len(line) < 110 for line in lines)
