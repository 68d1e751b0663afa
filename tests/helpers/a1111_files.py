"""Names of A1111's single files for the weights of diffusers' models: the way back of
`from_single_file`, for tests. And such models, narrow, of random weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


_BIG = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 48,
}
# The published structures, narrow: the names in the file are those of the real ones.
NARROW: dict[str, dict[str, Any]] = {
    "sd15": {
        "unet": {
            "block_out_channels": [16, 16, 32, 32],
            "cross_attention_dim": 32,
            "attention_head_dim": 4,
            "norm_num_groups": 8,
        },
    },
    "sdxl-refiner": {
        "text_encoder_2": _BIG,
        "unet": {
            "block_out_channels": [16, 16, 32, 32],
            "cross_attention_dim": 48,
            "attention_head_dim": [2, 2, 4, 4],
            "transformer_layers_per_block": 1,
            "norm_num_groups": 8,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 88,
        },
    },
    "sdxl": {
        "text_encoder_2": _BIG,
        "unet": {
            "block_out_channels": [16, 16, 32],
            "cross_attention_dim": 80,
            "attention_head_dim": [2, 2, 4],
            "transformer_layers_per_block": [1, 1, 2],
            "norm_num_groups": 8,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 96,
        },
    },
}
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 32,
}
VAE = {"block_out_channels": [8, 8, 16, 16], "norm_num_groups": 4}


def _unet(name: str) -> str:
    for old, new in {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }.items():
        if name.startswith(old + "."):
            return new + name[len(old) :]
    inner = name.split(".", 4)
    if "resnets" in inner:
        k = inner.index("resnets") + 2
        rest = ".".join(inner[k:])
        part, _, last = rest.rpartition(".")
        rest = f"{_RESNET[part]}.{last}"
    if name.startswith("mid_block"):
        kind, number, *more = name.split(".")[1:]
        if kind == "resnets":
            return f"middle_block.{2 * int(number)}.{rest}"
        return f"middle_block.1.{'.'.join(more)}"
    side, i, kind, j, *more = name.split(".")
    block, layer = int(i), int(j)
    tail = ".".join(more)
    if side == "down_blocks":
        if kind == "downsamplers":
            return f"input_blocks.{3 * (block + 1)}.0.op.{tail.removeprefix('conv.')}"
        place = f"input_blocks.{3 * block + layer + 1}"
    else:
        place = f"output_blocks.{3 * block + layer}"
        if kind == "upsamplers":
            return f"output_blocks.{3 * block + 2}.UP.{tail}"
    return f"{place}.0.{rest}" if kind == "resnets" else f"{place}.1.{tail}"


def unet(weights: dict[str, Any]) -> dict[str, Any]:
    """`model.diffusion_model.*`"""
    out = {_unet(name): value for name, value in weights.items()}
    done = {}
    for name, value in out.items():
        place, up, rest = name.partition(".UP.")
        # The upsampler comes after the attention, where the block has one.
        slot = 2 if any(n.startswith(f"{place}.1.") for n in out) else 1
        key = f"{place}.{slot}.{rest}" if up else name
        done[f"model.diffusion_model.{key}"] = value
    return done


def vae(weights: dict[str, Any]) -> dict[str, Any]:
    """`first_stage_model.*`"""
    done = {}
    for name, value in weights.items():
        key = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        key = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
        key = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", key)
        key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
        key = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{3 - int(m[1])}.block", key)
        key = re.sub(
            r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", key
        )
        if "mid_block.attentions.0." in key:
            place, _, rest = key.partition("mid_block.attentions.0.")
            part, _, last = rest.rpartition(".")
            key = f"{place}mid.attn_1.{_VAE_ATTENTION[part]}.{last}"
            if last == "weight" and value.ndim == 2:
                value = value[:, :, None, None]
        done[f"first_stage_model.{key}"] = value
    return done


def clip(weights: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The first text encoder, by OpenAI's names in transformers: `prefix` + `text_model.*`"""
    return {f"{prefix}text_model.{k.removeprefix('text_model.')}": v for k, v in weights.items()}


def open_clip(weights: dict[str, Any], prefix: str) -> dict[str, Any]:
    """SDXL's second text encoder, by open_clip's names: query, key and value in one."""
    import torch

    done: dict[str, Any] = {}
    joined: dict[str, dict[str, Any]] = {}
    for name, value in weights.items():
        key = name.removeprefix("text_model.")
        if key == "text_projection.weight":
            done["text_projection"] = value.T.contiguous()
        elif key.startswith("embeddings."):
            _, kind, last = key.split(".")
            done["positional_embedding" if "position" in kind else f"{kind}.{last}"] = value
        elif key.startswith("final_layer_norm"):
            done[key.replace("final_layer_norm", "ln_final")] = value
        else:
            number, rest = re.match(r"encoder\.layers\.(\d+)\.(.*)", key).groups()  # type: ignore[union-attr]
            place = f"transformer.resblocks.{number}"
            part, _, last = rest.rpartition(".")
            if part.startswith("self_attn.") and "out_proj" not in part:
                joined.setdefault(f"{place}.attn.in_proj_{last}", {})[part[10]] = value
            elif part.startswith("self_attn."):
                done[f"{place}.attn.out_proj.{last}"] = value
            else:
                done[f"{place}.{_CLIP[part]}.{last}"] = value
    done |= {key: torch.cat([qkv[c] for c in "qkv"]) for key, qkv in joined.items()}
    return {prefix + key: value for key, value in done.items()}


def controlnet(weights: dict[str, Any]) -> dict[str, Any]:
    """`control_model.*`"""
    places = {
        "controlnet_cond_embedding.conv_in": "input_hint_block.0",
        "controlnet_cond_embedding.conv_out": "input_hint_block.14",
        "controlnet_mid_block": "middle_block_out.0",
    }
    done = {}
    for name, value in weights.items():
        place, _, last = name.rpartition(".")
        if match := re.fullmatch(r"controlnet_cond_embedding\.blocks\.(\d+)", place):
            key = f"input_hint_block.{2 * (int(match[1]) + 1)}.{last}"
        elif match := re.fullmatch(r"controlnet_down_blocks\.(\d+)", place):
            key = f"zero_convs.{match[1]}.0.{last}"
        else:
            key = f"{places[place]}.{last}" if place in places else _unet(name)
        done[f"control_model.{key}"] = value
    return done


def narrow(family: str) -> dict[str, dict[str, Any]]:
    """The published components of a family, narrow."""
    from visuals.checkpoints import reference_configs

    changes: dict[str, dict[str, Any]] = {"text_encoder": TEXT, "vae": VAE, **NARROW[family]}
    return {
        name: {**config, **changes.get(name, {})}
        for name, config in reference_configs.components(family).items()
    }


def random(family: str, folder: Path) -> Any:
    """A pipeline of random weights in the configuration that `reference_configs.write` writes."""
    import diffusers
    import torch
    import transformers
    from transformers import CLIPTextConfig

    from visuals.checkpoints import reference_configs

    reference_configs.write(family, folder)
    torch.manual_seed(0)
    parts: dict[str, Any] = {}
    for name, config in reference_configs.components(family).items():
        if name == "scheduler":
            kind = getattr(diffusers, config["_class_name"])
            parts[name] = kind.from_pretrained(folder, subfolder=name)
        elif name.startswith("text_encoder"):
            kind = getattr(transformers, config["architectures"][0])
            parts[name] = kind(CLIPTextConfig.from_pretrained(folder, subfolder=name))
            words = name.replace("text_encoder", "tokenizer")
            parts[words] = transformers.CLIPTokenizer.from_pretrained(folder, subfolder=words)
        else:
            parts[name] = getattr(diffusers, config["_class_name"]).from_config(config)
    if family == "sd15":
        parts |= {"safety_checker": None, "feature_extractor": None}
        return diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)
    return diffusers.StableDiffusionXLPipeline(**parts)


def weights_of(pipe: Any) -> dict[str, Any]:
    """A pipeline's weights as checkpoints of SD 1.5 and SDXL have them."""
    weights = unet(pipe.unet.state_dict()) | vae(pipe.vae.state_dict())
    if hasattr(pipe, "text_encoder_2"):
        weights |= clip(pipe.text_encoder.state_dict(), "conditioner.embedders.0.transformer.")
        weights |= open_clip(pipe.text_encoder_2.state_dict(), "conditioner.embedders.1.model.")
    else:
        weights |= clip(pipe.text_encoder.state_dict(), "cond_stage_model.transformer.")
    return {name: value.contiguous() for name, value in weights.items()}


def write(pipe: Any, path: Path) -> None:
    """A pipeline's weights as one file."""
    from safetensors.torch import save_file

    save_file(weights_of(pipe), path)
