"""Guesses what kind of model a folder, a file or a repository is, without loading it, and says
what is wrong with one of another kind than is needed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...configs.rerender import OWN_MODELS
from ...configs.text_files import read_json_object
from ..catalog.names import catalogue, resolve
from ..formats import safetensors_header
from . import model_classes
from .base_family import REFINER, named_class, pipeline_class
from .tensor_names import UNKNOWN, weights_kind

STAGE_3_METHODS = {
    "FluxKontextPipeline": "edit",
    **dict.fromkeys(("QwenImageEditPipeline", "QwenImageEditPlusPipeline"), "edit"),
    "FluxFillPipeline": "inpaint",
}
"""Pipelines of diffusers for stage 3 alone → the `rerender.method` that they are for."""
_PIPELINES = STAGE_3_METHODS | {
    **dict.fromkeys(
        (
            *("StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline"),
            *("FluxPipeline", "ZImagePipeline", "QwenImagePipeline"),
        ),
        "text-to-image",
    ),
    REFINER: "refiner",
}
"""Pipelines of diffusers that are supported → kind."""
_PLACES = {
    "text-to-image": "a text-to-image model, for generate.model",
    **{method: f"{what}, for rerender.method {method}" for method, (what, _) in OWN_MODELS.items()},
    "refiner": "an SDXL refiner, for refiner.model",
    "controlnet": "a ControlNet, for controls.NAME.model",
    "vae": "a VAE, for generate.vae",
    "lora": "a LoRA, for a prompt, as in <lora:name:1>",
    "loras": "a folder of LoRAs, for generate.lora_dirs",
    "ip-adapter": "an IP-Adapter, for generate.ip_adapter.model",
    "detector": "a detector, for detect.model",
    "segmenter": "a segmenter, for segment.model",
    "verifier": "a verifier, for verify.model",
    "captioner": "a captioner, for caption.model",
    "depth": "a depth estimator, for controls.NAME.annotator",
    "semantic": "a semantic segmenter, for controls.NAME.annotator",
}
"""Kind → what it is and where it is set."""
_EXPECTED = {
    "text-to-image": "a text-to-image model, such as sd15",
    **{method: f"{what}, such as {name}" for method, (what, name) in OWN_MODELS.items()},
    "refiner": "an SDXL refiner, such as sdxl-refiner",
    "controlnet": "a ControlNet",
    "vae": "a VAE, such as taesd",
}
"""Kind → what is asked for."""
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


def misfit(ref: str | os.PathLike[str], wanted: str, *, allow_pickle: bool = False) -> str:
    """Return what a model is and what was expected; "" where it is of the kind that is `wanted`,
    or of none that is known.

    Args:
        ref: A name, folder, file or repository.
        wanted: "text-to-image", "edit", "inpaint", "refiner", "controlnet" or "vae".
        allow_pickle: Whether pickles may be read.
    """
    place = resolve(ref)
    name = pipeline_class(ref, allow_pickle=allow_pickle)
    kind = _PIPELINES.get(name, "") if name else guess_kind(place)
    is_known = bool(name) or kind in _PLACES
    if kind == wanted or not (is_known or (wanted in OWN_MODELS and Path(place).is_file())):
        return ""
    if name.startswith("StableDiffusion") and name.endswith("InpaintPipeline"):
        what = (
            "an inpainting model of Stable Diffusion, but of inpainting models only FLUX.1 Fill is "
            "supported (models of Stable Diffusion redraw with rerender.method controlnet)"
        )
    elif not is_known:
        what = "a file; such models are folders or repositories"
    else:
        words = re.sub(r"(?<=[a-z\d])(?=[A-Z])", " ", name.removesuffix("Pipeline"))
        what = _PLACES.get(kind, f"a model of another kind, {words}, which is not supported")
    if Path(place).is_dir() and (named := named_class(ref)) != name:
        what += f" (by the channels of its weights; its model_index.json names {named})"
    return f"it is {what}; expected {_EXPECTED[wanted]}"


def _folder_kind(folder: Path) -> str:
    if (folder / "model_index.json").is_file():
        return _PIPELINES.get(pipeline_class(folder.absolute()), UNKNOWN)
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
