"""Attaches LoRAs by name to a pipeline, weighs them, chains them, takes them off.

Files in kohya's or diffusers' format, safetensors. Each file is read once per pipeline.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .prompt import LoraTag


class LoraNotFound(ValueError):
    """No file of that name in the folders; the message says which are there."""


class BrokenLora(ValueError):
    """A LoRA file that cannot be read or does not fit the model."""


def find(name: str, folders: Sequence[str | Path]) -> Path:
    """The file `name`.safetensors in the first folder (or below it) that has it."""
    there: list[str] = []
    for folder in map(Path, folders):
        files = sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []
        for file in files:
            if file.stem == name:
                return file
        there += [f.stem for f in files]
    known = ", ".join(sorted(set(there))) or "none"
    raise LoraNotFound(
        f"no LoRA {name!r} in {', '.join(map(str, folders)) or 'any folder'} (there: {known}); "
        "set generate.lora_dirs"
    )


def attach(pipe: Any, tags: Sequence[LoraTag], folders: Sequence[str | Path]) -> None:
    """Make `tags` the LoRAs that act on `pipe`, no others. Files already read stay read."""
    loaded: set[str] = set(getattr(pipe.unet, "peft_config", {}) or {})
    loaded |= set(getattr(pipe.text_encoder, "peft_config", {}) or {})
    names, weights = [], []
    for tag in tags:
        file = find(tag.name, folders)
        adapter = _adapter(file)
        if adapter not in loaded:
            _read(pipe, file, adapter)
            loaded.add(adapter)
        names.append(adapter)
        weights.append({"unet": tag.unet, "text_encoder": tag.text_encoder})
    if names:
        pipe.enable_lora()
        pipe.set_adapters(names, _scales(pipe, names, weights))
    elif loaded:
        pipe.disable_lora()


def _adapter(file: Path) -> str:
    """PEFT's name for a file: its stem as an identifier, and a number of its whole path."""
    return f"{re.sub(r'[^0-9A-Za-z]', '_', file.stem)}_{zlib.crc32(str(file.resolve()).encode()):x}"


def _read(pipe: Any, file: Path, adapter: str) -> None:
    try:
        pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=adapter)
    except Exception as error:
        with contextlib.suppress(Exception):  # what was attached before it broke comes off again
            pipe.delete_adapters(adapter)
        what = " ".join(str(error).split())[:200]
        raise BrokenLora(f"cannot read LoRA {file}: {what}; fetch the file anew") from error


def _scales(pipe: Any, names: list[str], weights: list[dict[str, float]]) -> list[Any]:
    """A weight a component where the adapter is in both, else a plain number."""
    text = set(getattr(pipe.text_encoder, "peft_config", {}) or {})
    return [w if n in text else w["unet"] for n, w in zip(names, weights, strict=True)]
