"""The published configurations of Stable Diffusion 1.5 and SDXL, and CLIP's tokenizer.

A single `.safetensors` file holds weights alone; this is what stands beside them in a diffusers
folder. Values from the model_index.json and config.json files of stable-diffusion-v1-5 and of
stabilityai's stable-diffusion-xl-base-1.0 and -refiner-1.0; what is left out is the default of
diffusers' or transformers' configuration class. Knows no weights.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

_CLIP_L = {
    "model_type": "clip_text_model",
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
}
_BIG_G = {
    **_CLIP_L,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}
_VAE = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
    "scaling_factor": 0.18215,
}
# Some values are defaults: diffusers reads them from the file when it renames the weights.
_UNET = {
    "_class_name": "UNet2DConditionModel",
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 2,
    "addition_embed_type": None,
    "class_embed_type": None,
    "num_class_embeds": None,
}
_SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
_XL_SCHEDULE = {
    **_SCHEDULE,
    "_class_name": "EulerDiscreteScheduler",
    "interpolation_type": "linear",
    "timestep_spacing": "leading",
    "use_karras_sigmas": False,
}
_XL_VAE = {**_VAE, "sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True}
_XL_UNET = {
    **_UNET,
    "sample_size": 128,
    "addition_embed_type": "text_time",
    "use_linear_projection": True,
}

COMPONENTS: dict[str, dict[str, dict[str, Any]]] = {
    "sd15": {
        "text_encoder": {**_CLIP_L, "architectures": ["CLIPTextModel"]},
        "unet": {
            **_UNET,
            "sample_size": 64,
            "attention_head_dim": 8,
            "cross_attention_dim": 768,
            "block_out_channels": [320, 640, 1280, 1280],
            "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
            "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        },
        "vae": _VAE,
        "scheduler": {**_SCHEDULE, "_class_name": "PNDMScheduler"},
    },
    "sdxl": {
        "text_encoder": {**_CLIP_L, "architectures": ["CLIPTextModel"]},
        "text_encoder_2": {**_BIG_G, "architectures": ["CLIPTextModelWithProjection"]},
        "unet": {
            **_XL_UNET,
            "attention_head_dim": [5, 10, 20],
            "cross_attention_dim": 2048,
            "block_out_channels": [320, 640, 1280],
            "down_block_types": ["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
            "up_block_types": ["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"],
            "transformer_layers_per_block": [1, 2, 10],
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        "vae": _XL_VAE,
        "scheduler": _XL_SCHEDULE,
    },
    "sdxl-refiner": {
        "text_encoder_2": {**_BIG_G, "architectures": ["CLIPTextModelWithProjection"]},
        "unet": {
            **_XL_UNET,
            "attention_head_dim": [6, 12, 24, 24],
            "cross_attention_dim": 1280,
            "block_out_channels": [384, 768, 1536, 1536],
            "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 2, "DownBlock2D"],
            "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 2, "UpBlock2D"],
            "transformer_layers_per_block": 4,
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2560,
        },
        "vae": _XL_VAE,
        "scheduler": _XL_SCHEDULE,
    },
}
"""A family's components, each with the configuration that the hub holds."""

PIPELINES: dict[str, tuple[str, dict[str, Any]]] = {
    "sd15": ("StableDiffusionPipeline", {"requires_safety_checker": False}),
    "sdxl": ("StableDiffusionXLPipeline", {"force_zeros_for_empty_prompt": True}),
    "sdxl-refiner": (
        "StableDiffusionXLImg2ImgPipeline",
        {"force_zeros_for_empty_prompt": False, "requires_aesthetics_score": True},
    ),
}
_NONE = {
    "sd15": ("safety_checker", "feature_extractor", "image_encoder"),
    "sdxl": ("feature_extractor", "image_encoder"),
    "sdxl-refiner": ("text_encoder", "tokenizer", "feature_extractor", "image_encoder"),
}


def write(family: str, folder: Path) -> None:
    """A diffusers folder of "sd15", "sdxl" or "sdxl-refiner" with everything but weights."""
    name, rest = PIPELINES[family]
    index: dict[str, Any] = {"_class_name": name, "_diffusers_version": "0.35.0", **rest}
    index |= {part: [None, None] for part in _NONE[family]}
    for part, config in COMPONENTS[family].items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        file = "scheduler_config.json" if part == "scheduler" else "config.json"
        (folder / part / file).write_text(json.dumps(config, indent=1))
        if part.startswith("text_encoder"):
            index[part] = ["transformers", config["architectures"][0]]
            words = part.replace("text_encoder", "tokenizer")
            index[words] = ["transformers", "CLIPTokenizer"]
            # The second tokenizer of SDXL pads with "!", its token 0.
            tokenizer(folder / words, pad="!" if words == "tokenizer_2" else "<|endoftext|>")
        else:
            index[part] = ["diffusers", config["_class_name"]]
    (folder / "model_index.json").write_text(json.dumps(index, indent=1))


def load_tokenizer() -> Any:
    """CLIP's tokenizer, as SD 1.5 and SDXL's first text encoder have it."""
    from transformers import CLIPTokenizer

    with tempfile.TemporaryDirectory() as place:
        tokenizer(Path(place), pad="<|endoftext|>")
        return CLIPTokenizer.from_pretrained(place, local_files_only=True)


def tokenizer(folder: Path, *, pad: str) -> None:
    """CLIP's tokenizer as transformers keeps it: 49,408 tokens, texts of 77."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    packed = (Path(__file__).parent / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    merges = lines[1 : 49152 - 256 - 2 + 1]  # as in CLIP's simple_tokenizer.py
    letters = list(bytes_to_unicode().values())
    names = letters + [letter + "</w>" for letter in letters]
    names += [line.replace(" ", "") for line in merges]
    names += ["<|startoftext|>", "<|endoftext|>"]
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": pad,
    }
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {name: number for number, name in enumerate(names)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merged = "\n".join(["#version: 0.2", *merges, ""])
    (folder / "merges.txt").write_text(merged, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
