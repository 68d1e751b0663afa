"""Guesses what kind of model a folder, a file or a repository is, without loading it."""

from __future__ import annotations

from pathlib import Path

from ...configs.text_files import read_json_object
from ..catalog.names import catalogue
from ..formats import safetensors_header
from . import model_classes
from .tensor_names import UNKNOWN, weights_kind

METHODS = {
    "FluxKontextPipeline": "edit",
    "QwenImageEditPipeline": "edit",
    "FluxFillPipeline": "inpaint",
}
"""Pipelines of diffusers for stage 3 alone → the `rerender.method` that they are for."""
_CLASSES = {
    "ControlNetModel": "controlnet",
    "ControlNetUnionModel": "controlnet",
    "FluxControlNetModel": "controlnet",
    "ZImageControlNetModel": "controlnet",
    "SD3ControlNetModel": "controlnet",
    "QwenImageControlNetModel": "controlnet",
    "AutoencoderKL": "vae",
    "AutoencoderTiny": "vae",
}
"""`_class_name` of diffusers' config.json → kind."""
_TYPES = {
    **dict.fromkeys(model_classes.SEGMENTERS, "segmenter"),
    **dict.fromkeys(model_classes.DETECTORS, "detector"),
    "depth_anything": "depth",
    "dpt": "depth",
    "blip": "captioner",
    **dict.fromkeys(model_classes.VERIFIERS, "verifier"),
}
"""`model_type` of transformers' config.json → kind."""


def guess_kind(ref: str) -> str:
    """Return the kind of a folder, a .safetensors file or a repository of the catalogue.

    A folder's is read from model_index.json or config.json, a file's from its tensor names;
    "model" where it is not known.
    """
    path = Path(ref).expanduser()
    if path.is_dir():
        return _folder_kind(path)
    if path.suffix.lower() == ".safetensors" and path.is_file():
        return _file_kind(path)
    return next((e.kind for e in catalogue().values() if e.repository == ref), UNKNOWN)


def _folder_kind(folder: Path) -> str:
    if (folder / "model_index.json").is_file():
        name = read_json_object(folder / "model_index.json").get("_class_name")
        return METHODS.get(str(name), "text-to-image")
    config = read_json_object(folder / "config.json")
    model_type, class_name = str(config.get("model_type")), str(config.get("_class_name"))
    kind = _TYPES.get(model_type) or _CLASSES.get(class_name)
    if kind:
        return kind
    files = sorted(folder.glob("*.safetensors"))
    return "loras" if files and all(_file_kind(f) == "lora" for f in files) else UNKNOWN


def _file_kind(file: Path) -> str:
    try:
        return weights_kind(safetensors_header.read(file).shapes)
    except (safetensors_header.HeaderError, OSError):
        return UNKNOWN
