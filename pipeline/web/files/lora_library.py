"""The LoRAs that the studio offers: those of a preset's folders, and those trained here.

What is trained here lies in `loras/` beside the runs. Knows files and settings; no models.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..queue.commands import Command
from ..widgets import prompt_preview

NAME = "loras"
_PARTS = ("pytorch_lora_weights",)
"""Files beside a LoRA that are no LoRA of another name."""


def folder(root: Path) -> Path:
    """Where trainings go, for the runs in `root`."""
    return root.parent / NAME


def own(root: Path) -> dict[str, Path]:
    """The LoRAs trained here, by name, newest first."""
    place = folder(root)
    found = [p for p in place.glob("*/*.safetensors") if p.stem not in _PARTS]
    found.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    return {p.stem: p for p in found}


def names(root: Path, preset: str) -> list[str]:
    """All LoRAs for a preset, those trained here first."""
    return list(dict.fromkeys([*own(root), *prompt_preview.loras(preset)]))


def dirs_for(root: Path, wanted: Iterable[str], preset: str) -> tuple[str, ...]:
    """The folders, beside the preset's own, in which these LoRAs are; () where none is needed."""
    here, known = own(root), prompt_preview.loras(preset)
    if any(name in here and name not in known for name in wanted):
        return (os.path.relpath(folder(root)) if not root.is_absolute() else str(folder(root)),)
    return ()


def with_folders(root: Path, order: Command) -> Command:
    """The order, with the folder of the LoRAs trained here where its prompt names one of them."""
    from ....configs.schema import load_settings
    from ....stages.prompts.lora_tags import PromptError, parse

    try:
        wanted = [tag.name for tag in parse(order.prompt or "")[1]]
    except PromptError:
        return order
    more = dirs_for(root, wanted, order.preset)
    if not more:
        return order
    usual = load_settings(order.preset).generate.lora_dirs
    return replace(order, changes={**order.changes, "generate.lora_dirs": [*more, *usual]})
