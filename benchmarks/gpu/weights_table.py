"""GiB of the weights of each preset with a large transformer, full and in 8 and 4 bits, counted on
meta tensors in the published configurations."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from ...checkpoints import stored_weights
from ...pipeline.build.low_memory import ACTIVATIONS

GIB = 2**30
ALLOWANCE = ACTIVATIONS // GIB
"""GiB that the catalogue adds to the weights of what draws: activations, CUDA, fragments."""

# Each from a config.json on the Hugging Face hub; of gated repositories, public copies were read.
# black-forest-labs/FLUX.1-dev text_encoder, stabilityai/stable-diffusion-3.5-large text_encoder
_CLIP_L = {
    "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
    "projection_dim": 768,
}  # fmt: skip
# stabilityai/stable-diffusion-3.5-large text_encoder_2
_CLIP_G = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20,
    "num_hidden_layers": 32, "projection_dim": 1280,
}  # fmt: skip
# black-forest-labs/FLUX.1-dev text_encoder_2, stabilityai/stable-diffusion-3.5-large text_encoder_3
_T5_XXL = {
    "vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24,
    "num_heads": 64, "feed_forward_proj": "gated-gelu",
}  # fmt: skip
# Tongyi-MAI/Z-Image-Turbo text_encoder
_QWEN3_4B = {
    "vocab_size": 151936, "hidden_size": 2560, "intermediate_size": 9728,
    "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
    "head_dim": 128,
}  # fmt: skip
# Qwen/Qwen-Image text_encoder
_QWEN_VL_7B = {
    "text_config": {
        "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944,
        "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
    },
    "vision_config": {
        "hidden_size": 1280, "intermediate_size": 3420, "depth": 32, "num_heads": 16,
        "out_hidden_size": 3584,
    },
}  # fmt: skip
# black-forest-labs/FLUX.1-dev vae, Tongyi-MAI/Z-Image-Turbo vae,
# stabilityai/stable-diffusion-3.5-large vae
_VAE = {
    "latent_channels": 16, "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
    "use_quant_conv": False, "use_post_quant_conv": False,
}  # fmt: skip
# stabilityai/stable-diffusion-3.5-large transformer
_SD35 = {
    "num_attention_heads": 38, "caption_projection_dim": 2432, "pos_embed_max_size": 192,
    "qk_norm": "rms_norm",
}  # fmt: skip
# hlky/Z-Image-Turbo-Fun-Controlnet-Union-2.1, alibaba-pai's of the same name for diffusers
_ZIMAGE_UNION = {
    "control_layers_places": list(range(0, 30, 2)), "control_refiner_layers_places": [0, 1],
    "control_in_dim": 33, "add_control_noise_refiner": "control_noise_refiner",
}  # fmt: skip

MODELS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "flux-dev": {  # black-forest-labs/FLUX.1-dev
        "transformer": ("FluxTransformer2DModel", {"guidance_embeds": True}),
        "text_encoder": ("CLIPTextModel", _CLIP_L),
        "text_encoder_2": ("T5EncoderModel", _T5_XXL),
        "vae": ("AutoencoderKL", _VAE),
    },
    "flux-fill": {  # black-forest-labs/FLUX.1-Fill-dev
        "transformer": (
            "FluxTransformer2DModel",
            {"guidance_embeds": True, "in_channels": 384, "out_channels": 64},
        ),
        "text_encoder": ("CLIPTextModel", _CLIP_L),
        "text_encoder_2": ("T5EncoderModel", _T5_XXL),
        "vae": ("AutoencoderKL", _VAE),
    },
    "sd35": {  # stabilityai/stable-diffusion-3.5-large
        "transformer": ("SD3Transformer2DModel", {**_SD35, "num_layers": 38}),
        "text_encoder": ("CLIPTextModelWithProjection", _CLIP_L),
        "text_encoder_2": ("CLIPTextModelWithProjection", _CLIP_G),
        "text_encoder_3": ("T5EncoderModel", _T5_XXL),
        "vae": ("AutoencoderKL", _VAE),
    },
    "zimage": {  # Tongyi-MAI/Z-Image-Turbo
        "transformer": ("ZImageTransformer2DModel", {}),
        "text_encoder": ("Qwen3Model", _QWEN3_4B),
        "vae": ("AutoencoderKL", _VAE),
    },
    "qwen-image": {  # Qwen/Qwen-Image
        "transformer": ("QwenImageTransformer2DModel", {}),
        "text_encoder": ("Qwen2_5_VLForConditionalGeneration", _QWEN_VL_7B),
        "vae": ("AutoencoderKLQwenImage", {}),
    },
    "flux-union": {  # Shakker-Labs/FLUX.1-dev-ControlNet-Union-Pro-2.0
        "controlnet": (
            "FluxControlNetModel",
            {"num_layers": 6, "num_single_layers": 0, "guidance_embeds": True},
        ),
    },
    "sd35-depth": {  # stabilityai/stable-diffusion-3.5-large-controlnet-depth
        "controlnet": (
            "SD3ControlNetModel",
            {**_SD35, "num_layers": 19, "use_pos_embed": False, "joint_attention_dim": None},
        ),
    },
    "zimage-union": {"controlnet": ("ZImageControlNetModel", _ZIMAGE_UNION)},
    "qwen-image-union": {  # InstantX/Qwen-Image-ControlNet-Union
        "controlnet": ("QwenImageControlNetModel", {"num_layers": 5}),
    },
}  # fmt: skip
"""Names of the catalogue → their models: class and configuration, where it is not the class's own.
FLUX.1 schnell and Kontext are shaped as dev, Qwen-Image-Edit as Qwen-Image. Counted so, the files
have the published sizes: in bfloat16 Z-Image's 12.3, 8.04 and 0.168 GB, its union's 6.71 and
Qwen-Image's union's 3.54; in float32 SD 3.5's depth's 8.61."""

PRESETS = {
    "flux-schnell": ("flux-dev", "flux-union"),
    "flux-dev": ("flux-dev", "flux-union"),
    "flux-edit": ("flux-dev", "flux-dev"),
    "flux-fill": ("flux-dev", "flux-fill"),
    "sd35": ("sd35", "sd35-depth"),
    "zimage": ("zimage", "zimage-union"),
    "qwen-image": ("qwen-image", "qwen-image-union"),
    "qwen-image-edit": ("qwen-image", "qwen-image"),
}
"""Presets, and what draws in their stages 1 and 3."""


@functools.cache
def _built(name: str) -> dict[str, Any]:
    """The models of a name of `MODELS`, on `meta` in bfloat16."""
    import diffusers
    import torch
    import transformers

    out = {}
    with torch.device("meta"):
        for part, (kind, config) in MODELS[name].items():
            if hasattr(diffusers, kind):
                model = getattr(diffusers, kind)(**config)
            else:
                own = getattr(transformers, kind)
                model = own(own.config_class(**config))
            out[part] = torch.nn.Module.to(model, torch.bfloat16)  # without diffusers' advice
    return out


def size(name: str, weights: stored_weights.Weights) -> float:
    """GiB of all models of a name."""
    return _gib(_built(name).values(), weights)


def _gib(models: Iterable[Any], weights: stored_weights.Weights) -> float:
    return sum(stored_weights.size(model, weights) for model in models) / GIB


def denoising(name: str, weights: stored_weights.Weights) -> float:
    """GiB of what is called in each step: the transformer, or the ControlNet."""
    parts = _built(name)
    return _gib([parts[part] for part in ("transformer", "controlnet") if part in parts], weights)


def largest_turn(preset: str) -> float:
    """GiB of the models that are on a card together at most with --low-memory, in 8 bits."""
    first, last = PRESETS[preset]
    steps = [denoising(name, "fp8") for name in (first, last)]
    leads = "controlnet" in _built(last)
    together = sum(steps) if leads else max(steps)  # models of stage 3's own draw alone
    prompt = [m for n, m in _built(first).items() if n in ("text_encoder", "text_encoder_2")]
    return max(together, _gib(prompt, "fp8"))


def largest_part(preset: str) -> float:
    """GiB that are on a card at most where models move in parts, unless it is stored in 8 bits: a
    block and what is outside of the blocks, or a layer of a text encoder."""
    import torch

    largest = 0
    for model in (m for name in PRESETS[preset] for m in _built(name).values()):
        if type(model).__module__.startswith("transformers"):
            parts = [_bytes(layer, recurse=False) for layer in model.modules()]
        else:
            lists = [c for c in model.children() if isinstance(c, torch.nn.ModuleList)]
            blocks = [_bytes(block) for blocks in lists for block in blocks]
            parts = [_bytes(model) - sum(blocks) + max(blocks, default=0)]
        largest = max(largest, *parts)
    return largest / GIB


def _bytes(model: Any, *, recurse: bool = True) -> int:
    return sum(p.nbytes for p in model.parameters(recurse))


def table() -> str:
    """The table of docs/gpu.md, in Markdown."""
    head = "| preset | `full` | `fp8` | `4bit` | `--low-memory`, at a time | in parts |"
    rows = [head, "|---|---|---|---|---|---|"]
    for preset, names in PRESETS.items():
        kinds: tuple[stored_weights.Weights, ...] = ("full", "fp8", "4bit")
        sizes = [sum(size(name, kind) for name in names) for kind in kinds]
        cells = (f"{value:.1f}" for value in (*sizes, largest_turn(preset), largest_part(preset)))
        rows.append(f"| `{preset}` | {' | '.join(cells)} |")
    return "\n".join(rows)
