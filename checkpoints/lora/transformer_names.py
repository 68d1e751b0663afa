"""Names of modules in LoRA files of families whose denoiser is a transformer.

A LoRA of diffusers, PEFT or ai-toolkit names the model's own modules, bare or behind
`transformer.`, `base_model.model.` or `diffusion_model.`; OneTrainer's the same with underscores,
behind `lora_transformer_`. kohya's name those of the original code, with underscores; ComfyUI's and
fal's the same with points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_WRAPPED = r"(transformer\.|diffusion_model\.|base_model\.model\.)?"
_OWN = {
    "Flux": (
        rf"lora_unet_(double|single)_blocks_|{_WRAPPED}(double|single)_blocks\.|"
        rf"{_WRAPPED}single_transformer_blocks\.|lora_transformer_single_transformer_blocks_"
    ),
    "Z-Image": rf"(lora_unet_|lora_transformer_|{_WRAPPED})(layers|\w+_refiner)[._]\d",
    "Qwen-Image": (
        r"(lora_unet_|diffusion_model\.)transformer_blocks[._]\d|"
        rf"(lora_transformer_|{_WRAPPED})transformer_blocks[._]\d+[._](img|txt)_m|"
        rf"{_WRAPPED}(img|txt)_in\."
    ),
    "SD 3": rf"lora_unet_joint_blocks_|lora_te3_|{_WRAPPED}joint_blocks\.",
}
"""Beginnings of keys that a family alone has. `transformer.transformer_blocks.` is of several."""
_ROOTS = (
    *("transformer_blocks.", "single_transformer_blocks.", "x_embedder", "context_embedder"),
    *("time_text_embed.", "norm_out.", "proj_out", "pos_embed."),
    *("layers.", "noise_refiner.", "context_refiner.", "all_x_embedder.", "all_final_layer."),
    *("cap_embedder.", "t_embedder.", "img_in.", "txt_in."),
)
PREFIXES = (
    *(f"lora_unet_{name}_" for name in ("double_blocks", "single_blocks", "joint_blocks")),
    *(f"lora_unet_{name}_" for name in ("layers", "noise_refiner", "context_refiner")),
    *("lora_unet_transformer_blocks_", "lora_transformer_"),
    *("diffusion_model.transformer_blocks.", *_ROOTS),
    *(f"{wrapper}{name}" for wrapper in ("transformer.", "base_model.model.") for name in _ROOTS),
    *(f"diffusion_model.{name}" for name in ("layers.", "noise_refiner.", "context_refiner.")),
    *(
        f"{wrapper}{name}."
        for wrapper in ("diffusion_model.", "base_model.model.")
        for name in ("double_blocks", "single_blocks", "joint_blocks")
    ),
)
"""Beginnings of the names of a transformer's modules."""
_ORIGINAL = re.compile(
    r"(?:diffusion_model|base_model\.model)\.((?:double|single|joint)_blocks\..+|"
    r"(?:layers|noise_refiner|context_refiner)\.\d+\.attention\.(?:qkv|out))"
)


def kohya_name(module: str) -> str | None:
    """Return kohya's name of a module that is named as in the original code; None for others."""
    found = _ORIGINAL.fullmatch(module)
    return f"lora_unet_{found[1].replace('.', '_')}" if found else None


def family(keys: Iterable[str]) -> str | None:
    """The family that keys of a file are of; None where they may be of several, or of none."""
    return next((f for f, form in _OWN.items() if any(re.match(form, key) for key in keys)), None)


_ATTENTION = re.compile(
    r".*(attn2?|attention)[._](to_[qkv]|qkv|add_[qkv]_proj)|lora_unet_single_blocks_\d+_linear1"
)
"""Modules that take in what a transformer's blocks are wide."""


def sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return `blocks` and `inputs` of a `base_family.Base` where the first matrices of modules,
    (rank, inputs), tell them."""
    out = {}
    for module, shape in shapes.items():
        if module == "transformer.x_embedder":
            out["inputs"] = shape[1]
        elif _ATTENTION.fullmatch(module):
            out["blocks"] = shape[1]
    return out


_SD3 = {
    "x_block_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "x_block_attn_proj": ("attn.to_out.0",),
    "x_block_attn2_qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "x_block_attn2_proj": ("attn2.to_out.0",),
    "x_block_mlp_fc1": ("ff.net.0.proj",),
    "x_block_mlp_fc2": ("ff.net.2",),
    "x_block_adaLN_modulation_1": ("norm1.linear",),
    "context_block_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "context_block_attn_proj": ("attn.to_add_out",),
    "context_block_mlp_fc1": ("ff_context.net.0.proj",),
    "context_block_mlp_fc2": ("ff_context.net.2",),
    "context_block_adaLN_modulation_1": ("norm1_context.linear",),
}
"""Stable Diffusion 3's modules in kohya's files → in diffusers, whose rows follow each other."""
_SD3_KEY = re.compile(r"lora_unet_joint_blocks_(\d+)_(\w+)\.lora_(down|up)\.weight")


def of_sd3(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename kohya's weights of Stable Diffusion 3 to diffusers' names.

    Raises KeyError for other names.
    """
    import torch

    out = {}
    for key, value in weights.items():
        found = _SD3_KEY.fullmatch(key)
        if not found:
            raise KeyError(key)
        block, module, half = found.groups()
        names = _SD3[module]
        if half == "down":
            parts = (value,) * len(names)
        elif names == ("norm1_context.linear",) and _is_last(weights, key):
            parts = (torch.cat(value.chunk(2)[::-1]),)  # diffusers has the scale before the shift
        else:
            parts = value.chunk(len(names))
        letter = "A" if half == "down" else "B"
        for name, part in zip(names, parts, strict=True):
            out[f"transformer.transformer_blocks.{block}.{name}.lora_{letter}.weight"] = part
    return out


def _is_last(weights: Mapping[str, torch.Tensor], key: str) -> bool:
    """Whether a context's norm is that of the last block, which has two parts, not six."""
    width = weights[key.replace("lora_up", "lora_down")].shape[1]
    return weights[key].shape[0] == 2 * width
