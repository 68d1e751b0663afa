"""Settings by dotted name, such as generate.steps, and settings with such values over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .schema import Settings, check, merge


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of dotted names by section.

    >>> nest({"generate.steps": 8})
    {'generate': {'steps': 8}}
    """
    sections: dict[str, Any] = {}
    for name, value in values.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    return sections


def apply_overrides(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Return the settings with values of dotted names over them; raises SettingsError."""
    return check(merge(settings.model_dump(mode="json"), nest(values))) if values else settings
