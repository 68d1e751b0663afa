"""Writes a settings file to edit: every setting of a preset, explained and commented out."""

from __future__ import annotations

import inspect
import re
from itertools import takewhile
from typing import Any

import yaml
from pydantic import BaseModel

from .schema import Settings, load_settings, preset_file


def description(preset: str) -> str:
    """Return what a preset is for: the first sentence of its file's comment.

    >>> description("sd15-fast")
    'sd15 in 8 steps by the LCM LoRA: about a quarter of the time, flatter pictures'
    """
    lines = preset_file(preset).read_text(encoding="utf-8").splitlines()
    comment = " ".join(line[2:] for line in takewhile(lambda line: line.startswith("#"), lines))
    return re.split(r"\.(?:\s|$)", comment)[0]


def template(preset: str) -> str:
    """Return a YAML text on top of a preset, whose settings are commented out.

    Raises SettingsError for an unknown preset.
    """
    values = load_settings(preset).model_dump(mode="json")
    blocks = [
        f"# Settings on top of the preset {preset}. Uncomment what should differ, the name of its\n"
        "# section too, and use the file by --preset FILE.\n"
        f"base: {preset}\n"
    ]
    for section, value in values.items():
        text = yaml.safe_dump({section: value}, sort_keys=False, allow_unicode=True, width=10_000)
        about = explanations(Settings.model_fields[section].annotation)
        lines = [_explained(line, about) for line in text.splitlines()]
        blocks.append("\n".join(f"# {line}" for line in lines) + "\n")
    return "\n".join(blocks)


def _explained(line: str, about: dict[str, str]) -> str:
    key = re.match(r"  (\w+):", line)
    return f"{line}  # {about[key[1]]}" if key and key[1] in about else line


def explanations(section: Any) -> dict[str, str]:
    """Return what the docstrings of a section's classes say of its settings, by name."""
    found: dict[str, str] = {}
    for kind in section.__mro__ if isinstance(section, type) else ():
        if issubclass(kind, BaseModel) and "__doc__" in vars(kind) and kind.__doc__:
            found = {**_arguments(inspect.cleandoc(kind.__doc__)), **found}
    return found


def _arguments(doc: str) -> dict[str, str]:
    """Return the entries of a docstring's `Args:`."""
    lines = doc.partition("Args:\n")[2]
    entries = re.findall(r"^    (\w+): ((?:.*\n?)(?:^        .*\n?)*)", lines, re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".") for name, text in entries}
