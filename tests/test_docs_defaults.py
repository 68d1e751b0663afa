"""The defaults that the pages name are those of the settings."""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers import source

from visuals.configs.schema import load_settings
from visuals.configs.train import TrainSettings

DOCS = source.ROOT / "docs"


def value_of(text: str, like: Any) -> Any:
    """Read a default in the type of the setting's value."""
    if isinstance(like, bool):
        return {"true": True, "false": False}[text]
    if isinstance(like, tuple):
        return tuple(text.split(","))
    if like is None:
        return {"null": None}[text]
    return type(like)(text)


def rerender_defaults() -> list[tuple[str, str]]:
    """Setting and default of each row of the table, `a`, `b` | 1, 2 counted as two."""
    page = (DOCS / "rerendering.md").read_text()
    table = page.split("| setting | default (`sd15`)")[1].split("\n\n")[0]
    pairs: list[tuple[str, str]] = []
    for row in table.splitlines()[2:]:
        names, defaults = (cell.strip() for cell in row.split("|")[1:3])
        pairs += zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=False)
    return [(name, text) for name, text in pairs if text != "stage 1's"]


@pytest.mark.parametrize(("name", "text"), rerender_defaults())
def test_defaults_of_the_rerender(name: str, text: str) -> None:
    value = getattr(load_settings("sd15").rerender, name)
    assert value_of(text, value) == value


def training_defaults() -> list[tuple[str, str]]:
    """Setting and default of each `name` (default) in the table that is a word or a number."""
    page = (DOCS / "training.md").read_text()
    table = page.split("| group | settings (default) |")[1].split("\n\n")[0]
    found = re.findall(r"`(\w+)` \(([\w.\-]+)[;,)]", table)
    return [(name, text) for name, text in found if name not in NOT_PLAIN]


NOT_PLAIN = {
    "clip_skip", "train_text_encoder", "cache_latents", "cache_text_encoder_outputs", "resolution",
    "max_token_length", "resume_from_checkpoint", "min_timestep", "validation_weights",
}  # fmt: skip
"""Settings beside which the page has words, not one default."""


@pytest.mark.parametrize(("name", "text"), training_defaults())
def test_defaults_of_a_training(name: str, text: str) -> None:
    value = TrainSettings.model_fields[name].default
    assert value_of(text, value) == value


def test_defaults_are_found() -> None:
    assert len(rerender_defaults()) >= 11 and len(training_defaults()) >= 25
