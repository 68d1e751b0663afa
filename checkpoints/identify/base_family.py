"""Which family a checkpoint is of, read from its files before anything is loaded.

A LoRA fits a model when both read text of the same width (the UNet's `cross_attention_dim`) and
are of the same family.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..catalog.names import resolve
from ..formats import pickle_cache, safetensors_header

FAMILIES = {768: "SD 1.x", 1024: "SD 2.x", 1280: "SDXL refiner", 2048: "SDXL"}
"""Family by `cross_attention_dim`, as in the configurations of the public checkpoints."""
_CLASSES = {"StableDiffusionXL": "SDXL", "StableDiffusion3": "SD 3", "Flux": "Flux"}


@dataclass(frozen=True)
class Base:
    """A family ("SD 1.x", "SDXL" …) and the width of the text it reads; None: not known."""

    family: str | None = None
    width: int | None = None

    def fits(self, other: Base) -> bool:
        """Whether nothing that is known of both differs."""
        families = {self.family, other.family} - {None}
        widths = {self.width, other.width} - {None}
        return len(families) < 2 and len(widths) < 2

    def __str__(self) -> str:
        if self.family and self.width in (None, *FAMILIES):
            return self.family
        width = f"cross-attention {self.width}" if self.width else ""
        return ", ".join(filter(None, (self.family, width))) or "unknown"


def of_width(width: int, family: str | None = None) -> Base:
    """The base of a UNet's `cross_attention_dim`."""
    return Base(family or FAMILIES.get(width), width)


def of_pipeline(pipe: Any) -> Base:
    """The base of a loaded diffusers pipeline."""
    return _named(type(pipe).__name__, pipe.unet.config.cross_attention_dim)


def of_checkpoint(ref: str | os.PathLike[str], *, allow_pickle: bool = False) -> Base:
    """The base of a model by its files: a folder, a single file, or what the hub's cache holds.

    Nothing is fetched: where the files are not there, nothing is known. Nor is it of a pickle,
    unless it may be read.
    """
    path = Path(resolve(ref))
    if pickle_cache.is_pickled(path):
        return _of_shapes(pickle_cache.shapes(path)) if allow_pickle else Base()
    if path.is_file() and path.suffix.lower() == ".safetensors":
        return _of_file(path)
    index = _config(path, "model_index.json")
    unet = _config(path, "unet/config.json")
    return _named(str(index.get("_class_name", "")), unet.get("cross_attention_dim"))


def _named(name: str, width: Any) -> Base:
    family = next((f for start, f in _CLASSES.items() if name.startswith(start)), None)
    if not isinstance(width, int):
        return Base(family)
    return of_width(width, "SDXL refiner" if width == 1280 else family)


def _of_file(path: Path) -> Base:
    try:
        shapes = safetensors_header.read(path).shapes
    except safetensors_header.HeaderError:
        return Base()
    return _of_shapes(shapes)


def _of_shapes(shapes: Mapping[str, tuple[int, ...]]) -> Base:
    """The base of a single-file checkpoint in the names of the original code, or of a UNet."""
    widths = [s[-1] for name, s in shapes.items() if name.endswith("attn2.to_k.weight")]
    both = any(name.startswith("conditioner.embedders.1.") for name in shapes)
    return of_width(widths[0], "SDXL" if both else None) if widths else Base()


def _config(path: Path, name: str) -> dict[str, Any]:
    file: Path | None = path / name
    if not path.is_dir():
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            found = try_to_load_from_cache(path.as_posix(), name)
        except HFValidationError:
            found = None
        file = Path(found) if isinstance(found, str) else None
    if file is None or not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
