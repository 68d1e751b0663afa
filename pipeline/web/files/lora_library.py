"""LoRAs that the studio offers: those of a preset's folders, and those trained in the studio.

The latter lie in `loras/` beside the runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ...jobs.request import RunRequest
from ...prompts.loras import lora_folders
from ..visitor_settings import preset_settings

NAME = "loras"
_PARTS = ("pytorch_lora_weights",)
"""Files beside a LoRA that are no LoRA of another name."""


def folder(root: Path) -> Path:
    """Return where trainings go, for the runs in `root`."""
    return root.parent / NAME


def trained(root: Path) -> dict[str, Path]:
    """Return the LoRAs that were trained in the studio, by name, newest first."""
    found = [p for p in folder(root).glob("*/*.safetensors") if p.stem not in _PARTS]
    found.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    return {p.stem: p for p in found}


def of_preset(preset: str) -> list[str]:
    """Return the names of the LoRAs in the preset's folders."""
    folders = map(Path, lora_folders(preset_settings(preset)))
    return sorted({p.stem for f in folders if f.is_dir() for p in f.rglob("*.safetensors")})


def names(root: Path, preset: str) -> list[str]:
    """Return all LoRAs for a preset, those trained in the studio first."""
    return list(dict.fromkeys([*trained(root), *of_preset(preset)]))


def folders_for(root: Path, wanted: Iterable[str], preset: str) -> tuple[str, ...]:
    """Return the folders, beside the preset's, of these LoRAs; () where none is needed."""
    here, known = trained(root), of_preset(preset)
    if any(name in here and name not in known for name in wanted):
        return (str(folder(root)) if root.is_absolute() else os.path.relpath(folder(root)),)
    return ()


def with_folders(root: Path, request: RunRequest) -> RunRequest:
    """Return the request with the folder of trained LoRAs where its prompt names one of them."""
    from ....stages.prompts.lora_tags import PromptError, parse

    try:
        wanted = [tag.name for tag in parse(request.prompt or "")[1]]
    except PromptError:
        return request
    return request.model_copy(update={"lora_dirs": folders_for(root, wanted, request.preset)})
