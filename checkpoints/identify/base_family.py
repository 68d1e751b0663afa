"""Finds the family of a checkpoint, such as SDXL, from its files and without loading it.

A LoRA fits a model when both are of the same family and size: a UNet's text features
(`cross_attention_dim`) or a transformer's blocks are equally wide, and the model takes in all
channels that the LoRA does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...configs.text_files import read_json_object
from ..catalog.names import catalogue, resolve
from ..formats import convert_pickle, safetensors_header
from .tensor_names import (
    FIRST_CONVOLUTION,
    UNKNOWN,
    Shapes,
    attention_widths,
    single_file_family,
    weights_kind,
)

FAMILIES = {768: "SD 1.x", 1024: "SD 2.x", 1280: "SDXL refiner", 2048: "SDXL"}
"""`cross_attention_dim` → family, as in the configurations of the public checkpoints."""
_CLASSES = {
    "StableDiffusionXL": "SDXL",
    **dict.fromkeys(("StableDiffusion3", "SD3"), "SD 3"),
    "Flux": "Flux",
    "ZImage": "Z-Image",
    "QwenImage": "Qwen-Image",
}
"""Beginnings of the names of diffusers' pipelines and ControlNets → family."""

REFINER = "StableDiffusionXLImg2ImgPipeline"
_FILL, _CONTROL = "FluxFillPipeline", "FluxControlPipeline"
_FILES = {
    **dict.fromkeys(("SD 1.x", "SD 2.x"), "StableDiffusionPipeline"),
    "SDXL": "StableDiffusionXLPipeline",
    "SDXL refiner": REFINER,
}
"""Families whose models may be one file → the class that it is loaded as."""


@dataclass(frozen=True)
class Base:
    """A family ("SD 1.x", "SDXL" …) and its size. None: not known.

    Args:
        family: Its name.
        width: Of the text features that its UNet reads; 0: it has no UNet.
        blocks: Width of its transformer's blocks.
        inputs: Channels that its transformer takes in, of FLUX.1: 64, with those that Fill sees
            of the scene 384.
    """

    family: str | None = None
    width: int | None = None
    blocks: int | None = None
    inputs: int | None = None

    def fits(self, model: Base) -> bool:
        """Return whether no known value differs from those of a model, which may take in more."""
        pairs = (
            (self.family, model.family), (self.width, model.width), (self.blocks, model.blocks),
        )  # fmt: skip
        same = all(ours == theirs for ours, theirs in pairs if None not in (ours, theirs))
        return same and (self.inputs or 0) <= (model.inputs or self.inputs or 0)

    def beside(self, other: Base) -> str:
        """Return its name, with the size that tells it from another of the same name."""
        if str(self) == str(other) or None in (self.family, other.family):
            if self.blocks and other.blocks and self.blocks != other.blocks:
                return f"{self} ({self.blocks} wide)"
            if self.inputs and other.inputs and self.inputs != other.inputs:
                return f"{self} ({self.inputs} input channels)"
        return str(self)

    def __str__(self) -> str:
        if self.family and self.width in (None, *FAMILIES):
            return self.family
        width = f"cross-attention {self.width}" if self.width else ""
        unnamed = "a transformer" if self.width == 0 else "unknown"
        return ", ".join(filter(None, (self.family, width))) or unnamed


def base_of_width(width: int, family: str | None = None) -> Base:
    """Return the base of a UNet's `cross_attention_dim`; a given family goes first."""
    return Base(family or FAMILIES.get(width), width)


def base_of_pipeline(pipe: Any) -> Base:
    """Return the base of a loaded diffusers pipeline."""
    unet, transformer = (
        getattr(getattr(pipe, part, None), "config", {}) for part in ("unet", "transformer")
    )
    return _base_of_class(type(pipe).__name__, unet, transformer)


def base_of_checkpoint(ref: str | os.PathLike[str], *, allow_pickle: bool = False) -> Base:
    """Return the base of a folder, a single file, or a repository that is cached.

    Nothing is downloaded: without its files the base is not known. Neither is a pickle's, unless
    it may be read.
    """
    path = Path(resolve(ref))
    if path.is_file():
        return _base_of_weights(_shapes(path, allow_pickle))
    unet, transformer = (_config(path, f"{part}/config.json") for part in ("unet", "transformer"))
    return _base_of_class(pipeline_class(ref), unet, transformer)


def reads_chunks(ref: str | os.PathLike[str]) -> bool:
    """Return whether a model reads prompts in CLIP's chunks of 75 tokens: not one without a UNet,
    which also reads a language model."""
    return base_of_checkpoint(ref).width != 0


def base_of_controlnet(ref: str | os.PathLike[str]) -> Base:
    """Return the base that a ControlNet was made for, of a folder or a repository that is cached;
    of a file it is not known."""
    config = _config(Path(resolve(ref)), "config.json")
    return _base_of_class(str(config.get("_class_name", "")), config, config)


def transformer_config(ref: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the configuration of the transformer of a folder or of a repository that is cached;
    an empty one where there is none."""
    return _config(Path(resolve(ref)), "transformer/config.json")


def pipeline_class(ref: str | os.PathLike[str], *, allow_pickle: bool = False) -> str:
    """Return the class of diffusers that draws with a folder, a cached repository, an entry of the
    catalogue or a file; "" where it is not known.

    The channels that the weights take in tell it better than model_index.json: copies of FLUX.1
    Fill often keep that of FLUX.1 dev.
    """
    path = Path(resolve(ref))
    if path.is_file():
        return _class_of_weights(_shapes(path, allow_pickle))
    name = named_class(ref)
    part = "transformer" if name.startswith("Flux") else "unet"
    config = _config(path, f"{part}/config.json")
    inputs = _number(config, "in_channels")
    return _by_channels(name, inputs, _number(config, "out_channels") or inputs)


def named_class(ref: str | os.PathLike[str]) -> str:
    """Return the pipeline's class that the catalogue or model_index.json names; "" without one."""
    place = resolve(ref)
    known = next((e.pipeline for e in catalogue().values() if e.repository == place), None)
    return str(known or _config(Path(place), "model_index.json").get("_class_name", ""))


def _by_channels(name: str, inputs: int | None, outputs: int | None) -> str:
    """The class of a pipeline of that name whose denoiser has these channels.

    FLUX.1 Fill takes in latents, those of the masked picture and 256 channels of mask; FLUX.1
    Depth and Canny those of a map; Stable Diffusion's inpainting models those of the masked
    picture and a mask; InstructPix2Pix those of a picture.
    """
    if inputs is None or outputs is None:
        return name
    if name.startswith("Flux"):
        plain = "FluxPipeline" if name in (_FILL, _CONTROL) else name
        known = {outputs: plain, 2 * outputs: _CONTROL, 2 * outputs + 256: _FILL}
        return known.get(inputs, name)
    kinds = {2 * outputs + 1: "Inpaint", 2 * outputs: "InstructPix2Pix"}
    if name in _FILES.values() and inputs in kinds:
        return f"{name.removesuffix('Pipeline')}{kinds[inputs]}Pipeline"
    return name


def _class_of_weights(shapes: Shapes) -> str:
    if weights_kind(shapes) not in ("text-to-image", UNKNOWN):
        return ""
    is_refiner = single_file_family(shapes) == "sdxl-refiner"
    name = REFINER if is_refiner else _FILES.get(_base_of_weights(shapes).family or "", "")
    inputs = shapes[FIRST_CONVOLUTION][1] if FIRST_CONVOLUTION in shapes else None
    return _by_channels(name, inputs, 4)


def _shapes(path: Path, allow_pickle: bool) -> Shapes:
    """The shapes of a file's tensors; none where it cannot or may not be read."""
    if convert_pickle.is_pickled(path):
        return convert_pickle.shapes(path) if allow_pickle else {}
    try:
        return safetensors_header.read(path).shapes
    except safetensors_header.HeaderError:
        return {}


def _base_of_class(name: str, unet: Mapping[str, Any], transformer: Mapping[str, Any]) -> Base:
    family = next((f for start, f in _CLASSES.items() if name.startswith(start)), None)
    width = unet.get("cross_attention_dim")
    if isinstance(width, int):
        return base_of_width(width, "SDXL refiner" if width == 1280 else family)
    if family in (None, "SDXL"):
        return Base(family)
    heads = _number(transformer, "num_attention_heads")
    size = _number(transformer, "attention_head_dim")
    blocks = _number(transformer, "dim") or (heads and size and heads * size)
    inputs = _number(transformer, "in_channels") if family == "Flux" else None
    return Base(family, 0, blocks, inputs)


def _number(config: Mapping[str, Any], name: str) -> int | None:
    value = config.get(name)
    return value if isinstance(value, int) else None


def _base_of_weights(shapes: Shapes) -> Base:
    """Return the base of a single-file checkpoint, or of a UNet."""
    widths = attention_widths(shapes)
    is_xl = any(name.startswith("conditioner.embedders.1.") for name in shapes)
    return base_of_width(widths[0], "SDXL" if is_xl else None) if widths else Base()


def _config(path: Path, name: str) -> dict[str, Any]:
    if path.is_dir():
        return read_json_object(path / name)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(path.as_posix(), name)
    except HFValidationError:
        return {}
    return read_json_object(Path(found)) if isinstance(found, str) else {}
