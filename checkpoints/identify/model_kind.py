"""What kind of model a folder or a file holds, by its settings. Knows no weights."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..catalog.names import catalogue
from ..formats import safetensors_header
from . import model_classes

UNKNOWN = "model"
_CLASSES = {
    "ControlNetModel": "controlnet",
    "ControlNetUnionModel": "controlnet",
    "AutoencoderKL": "vae",
    "AutoencoderTiny": "vae",
}
_TYPES = {
    "depth_anything": "depth",
    "dpt": "depth",
    "blip": "captioner",
    "clip": "verifier",
}


_CONTROLNET = {"input_hint_block.0.weight", "controlnet_cond_embedding.conv_in.weight"}


def guess(ref: str) -> str:
    """The kind of a folder (by model_index.json, config.json), of a .safetensors file (by its
    keys), or of a repository of the catalogue; 'model' where none of these tells."""
    path = Path(ref).expanduser()
    if path.is_dir():
        return _of_folder(path)
    if path.suffix.lower() == ".safetensors" and path.is_file():
        return _of_file(path)
    same = [entry.kind for entry in catalogue().values() if entry.repository == ref]
    return same[0] if same else UNKNOWN


def _of_folder(folder: Path) -> str:
    if (folder / "model_index.json").is_file():
        return "text-to-image"
    config = _json(folder / "config.json")
    named, of_type = str(config.get("_class_name")), str(config.get("model_type"))
    if of_type in model_classes.DETECTORS or of_type in model_classes.SEGMENTERS:
        return "detector" if of_type in model_classes.DETECTORS else "segmenter"
    kind = _CLASSES.get(named) or _TYPES.get(of_type)
    if kind:
        return kind
    files = sorted(folder.glob("*.safetensors"))
    return "loras" if files and all(_of_file(f) == "lora" for f in files) else UNKNOWN


def _of_file(file: Path) -> str:
    try:
        return of_names(safetensors_header.read(file).shapes)
    except (safetensors_header.HeaderError, OSError):
        return UNKNOWN


def of_names(keys: Collection[str]) -> str:
    """A LoRA, a whole checkpoint, a ControlNet or a VAE, by the names of its tensors."""
    if any("lora_" in key or ".lora." in key or "lokr_" in key or "hada_" in key for key in keys):
        return "lora"
    if any(key.startswith("model.diffusion_model.") for key in keys):
        return "text-to-image"
    if any("control_model" in key for key in keys) or _CONTROLNET & set(keys):
        return "controlnet"
    parts = ("encoder.conv_in.weight", "decoder.conv_in.weight")
    whole = all(any(key.endswith(part) for key in keys) for part in parts)
    return "vae" if whole else UNKNOWN


def _json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
