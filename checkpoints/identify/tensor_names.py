"""Tells what a weights file holds by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ...configs.errors import UsageError
from ..formats import safetensors_header

UNKNOWN = "model"
Shapes = Mapping[str, tuple[int, ...]]
"""Tensor name → shape."""

_UNET = "model.diffusion_model."
FIRST_CONVOLUTION = f"{_UNET}input_blocks.0.0.weight"
"""The first convolution of the UNet in A1111's files."""
_CONTROLNET = ("input_hint_block.0.weight", "controlnet_cond_embedding.conv_in.weight")
_LORA = ("lora_", ".lora.", "lokr_", "hada_")
_NAMES = {
    "lora": "a LoRA",
    "vae": "a VAE",
    "controlnet": "a ControlNet",
    "text-to-image": "a whole checkpoint",
    UNKNOWN: "another model",
}
_ADAPTERS = {
    "lora_controlnet": "a Control-LoRA",
    "lllite_": "a ControlNet-LLLite",
    "adapter.body.": "a T2I-Adapter",
    "body.0.": "a T2I-Adapter",
    "ip_adapter.": "an IP-Adapter",
    "image_proj.": "an IP-Adapter",
}
"""Starts of tensor names of models that are not loaded from a file."""
_FAMILIES = {
    "conditioner.embedders.1.model.": "sdxl",
    "conditioner.embedders.0.model.": "sdxl-refiner",
    "cond_stage_model.transformer.": "sd15",
}
"""Text encoder in A1111's files → family, in the order of the checks."""


class UnsuitableWeightsError(UsageError):
    """The weights are of another model than the one that is needed."""


_TRANSFORMERS = {
    "joint_blocks.": "a Stable Diffusion 3",
    "double_blocks.": "a FLUX model",
    "single_transformer_blocks.": "a FLUX model",
    "transformer_blocks.0.img_mod.": "a Qwen-Image",
    "cap_embedder.": "a Z-Image",
}
"""Parts of tensor names of families whose models are no single files here."""


def read_shapes(path: Path, *, expected: str = ".safetensors") -> Shapes:
    """Read the shapes of a .safetensors file by tensor name.

    Raises:
        UnsuitableWeightsError: It is no complete .safetensors file; `expected` names the formats
            that the message suggests.
    """
    if path.suffix.lower() != ".safetensors":
        raise UnsuitableWeightsError(
            f"{path.suffix or 'a file without an extension'}: expected {expected}"
        )
    try:
        return safetensors_header.read(path).shapes
    except safetensors_header.HeaderError as error:
        raise UnsuitableWeightsError(str(error).removeprefix(f"{path}: ")) from None


def weights_kind(names: Collection[str]) -> str:
    """Return "lora", "text-to-image", "controlnet", "vae" or "model", by tensor names."""
    if any(mark in name for name in names for mark in _LORA):
        return "lora"
    if _holds(names, _UNET):
        return "text-to-image"
    if any("control_model" in name for name in names) or set(_CONTROLNET) & set(names):
        return "controlnet"
    halves = ("encoder.conv_in.weight", "decoder.conv_in.weight")
    is_vae = all(any(name.endswith(half) for name in names) for half in halves)
    return "vae" if is_vae else UNKNOWN


def describe_weights(names: Collection[str]) -> str:
    """Return what a file of these tensors is, with its article, as in "a VAE"."""
    for start, description in _ADAPTERS.items():
        if _holds(names, start):
            return description
    return _NAMES[weights_kind(names)]


def checkpoint_family(path: Path) -> str:
    """Return "sd15", "sdxl" or "sdxl-refiner" of a single-file checkpoint.

    Raises:
        UnsuitableWeightsError: It is no .safetensors file, or of another model.
    """
    shapes = read_shapes(path, expected=".safetensors, .ckpt, .pt or .pth")
    channels = shapes[FIRST_CONVOLUTION][1] if FIRST_CONVOLUTION in shapes else 0
    if channels == 9:
        raise UnsuitableWeightsError(
            "an inpainting model; expected one that generates images from prompts"
        )
    if channels and (family := single_file_family(shapes)):
        return family
    is_lora = weights_kind(shapes) == "lora"
    for mark, model in () if is_lora else _TRANSFORMERS.items():
        if any(mark in name for name in shapes):
            raise UnsuitableWeightsError(
                f"{model} as one file is not read; expected a folder or a repository of it, as "
                "visuals checkpoints list shows"
            )
    is_sd2 = _holds(shapes, "cond_stage_model.model.")
    got = "a Stable Diffusion 2 model" if is_sd2 else describe_weights(shapes)
    raise UnsuitableWeightsError(f"expected the weights of Stable Diffusion 1.x or SDXL, got {got}")


def single_file_family(names: Collection[str]) -> str:
    """Return "sd15", "sdxl" or "sdxl-refiner" by the text encoders that a file holds; else ""."""
    return next((f for start, f in _FAMILIES.items() if _holds(names, start)), "")


def attention_widths(shapes: Shapes) -> list[int]:
    """Return the widths of the text features that a UNet or ControlNet reads, layer by layer."""
    return [shape[-1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")]


def _holds(names: Collection[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)
