"""Pipelines of SD 1.5's and SDXL's module layout, tiny and random, and LoRA files for them.

The names of kohya's files are written here from the layouts of the public checkpoints, by their
published tables, so that no converter under test has a hand in them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

WIDTHS = {"sd15": 24, "sdxl": 40}


def _text(width: int, projection: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=64,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def pipeline(kind: str, seed: int = 0) -> Any:
    """A StableDiffusion(XL)Pipeline with a UNet of 4 blocks (sd15) or SDXL's 3, two layers each."""
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )

    torch.manual_seed(seed)
    shared = {"sample_size": 8, "norm_num_groups": 4, "cross_attention_dim": WIDTHS[kind]}
    vae = AutoencoderKL(block_out_channels=(4,), norm_num_groups=4)
    if kind == "sd15":
        unet = UNet2DConditionModel(
            block_out_channels=(8, 8, 12, 12), attention_head_dim=4, **shared
        )
        return StableDiffusionPipeline(
            vae, _text(WIDTHS[kind]), None, unet, DDIMScheduler(), None, None,
            requires_safety_checker=False,
        )  # fmt: skip
    unet = UNet2DConditionModel(
        block_out_channels=(8, 12, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 1, 2],
        attention_head_dim=4,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=8 * 6 + 24,
        **shared,
    )
    return StableDiffusionXLPipeline(
        vae, _text(16), _text(24, projection=True), None, None, unet, DDIMScheduler()
    )


def parts(pipe: Any) -> dict[str, Any]:
    names = ("unet", "text_encoder", "text_encoder_2")
    return {p: m for p in names if (m := getattr(pipe, p, None)) is not None}


ATTENTION = re.compile(
    r".*(to_[qkv]|to_out\.0|ff\.net\.0\.proj|ff\.net\.2|proj_in|proj_out"
    r"|(q|k|v|out)_proj|mlp\.fc[12])"
)
CONV = re.compile(
    r".*(conv[12]|time_emb_proj|conv_shortcut|downsamplers\.0\.conv|upsamplers\.0\.conv"
    r"|conv_in|conv_out|time_embedding\.linear_[12]|add_embedding\.linear_[12])"
)


@dataclass(frozen=True)
class Delta:
    """One module's change: scale · B·A, with A (r, in, …) and B (out, r, …)."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    def full(self, weight: torch.Tensor) -> torch.Tensor:
        """The change of `weight` (out, in, …), by hand."""
        flat = self.scale * self.up.flatten(1) @ self.down.flatten(1)
        return flat.reshape(weight.shape)


def deltas(
    pipe: Any, *, conv: bool, seed: int, every: int = 1, alpha: float | None = 2.0
) -> dict[str, dict[str, Delta]]:
    """Random changes by part and module. Ranks 2 and 3 and alphas differ between modules;
    `alpha` None: alpha is the rank."""
    gen = torch.Generator().manual_seed(seed)
    out: dict[str, dict[str, Delta]] = {}
    for part, model in parts(pipe).items():
        for k, (name, module) in enumerate(model.named_modules()):
            wanted = ATTENTION.fullmatch(name) or (conv and CONV.fullmatch(name))
            if not isinstance(module, nn.Linear | nn.Conv2d) or not wanted or k % every:
                continue
            rank = 2 + k % 2
            shape = module.weight.shape
            down = torch.randn(rank, *shape[1:], generator=gen)
            up = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=gen)
            own = rank if alpha is None else alpha * (1 + k % 3)
            out.setdefault(part, {})[name.removeprefix("text_model.")] = Delta(down, up, own / rank)
    return out


def kohya_name(part: str, module: str, kind: str, text_model: bool = True) -> str:
    """kohya's name of a module; SDXL's UNet goes by the names of the original code (sgm)."""
    if part != "unet":
        start = {"sd15": "lora_te"}.get(kind, "lora_te1" if part == "text_encoder" else "lora_te2")
        middle = "text_model_" if text_model else ""
        return f"{start}_{middle}{module.replace('.', '_')}"
    if kind == "sdxl":
        module = _sgm(module)
    return "lora_unet_" + module.replace(".", "_")


def _sgm(module: str) -> str:
    whole = {
        "conv_in": "input_blocks.0.0",
        "conv_out": "out.2",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
    }
    if module in whole:
        return whole[module]
    kind, *rest = module.split(".")
    if kind == "down_blocks":
        i, what, j, *rest = rest
        if what == "downsamplers":
            return f"input_blocks.{3 * int(i) + 3}.0.op"
        place = f"input_blocks.{3 * int(i) + int(j) + 1}.{0 if what == 'resnets' else 1}"
    elif kind == "up_blocks":
        i, what, j, *rest = rest
        if what == "upsamplers":
            return f"output_blocks.{3 * int(i) + 2}.2.conv"
        place = f"output_blocks.{3 * int(i) + int(j)}.{0 if what == 'resnets' else 1}"
    else:
        what, j, *rest = rest
        place = f"middle_block.{2 * int(j) if what == 'resnets' else 1}"
    inner = ".".join(rest)
    resnet = {
        "conv1": "in_layers.2",
        "conv2": "out_layers.3",
        "time_emb_proj": "emb_layers.1",
        "conv_shortcut": "skip_connection",
    }
    return f"{place}.{resnet[inner] if what == 'resnets' else inner}"


def _processor_name(module: str) -> str:
    """The name of diffusers before PEFT: attention processors with LoRA layers of their own."""
    name = re.sub(r"\.(attn\d)\.(to_[qkv]|to_out)(\.0)?$", r".\1.processor.\2_lora", module)
    name = re.sub(r"\.self_attn\.(q|k|v|out)_proj$", r".self_attn.to_\1_lora", name)
    name = re.sub(r"\.(fc[12])$", r".\1.lora_linear_layer", name)
    return name if name != module else f"{module}.lora"


def write(
    changes: dict[str, dict[str, Delta]],
    path: Path,
    form: str,
    kind: str,
    *,
    alphas: bool = True,
    text_model: bool = True,
    metadata: dict[str, str] | None = None,
) -> Path:
    """The changes as a file of `form`: kohya, peft (diffusers' present names), diffusers (those
    before PEFT), or wrapped (PEFT's own save_pretrained, one part only)."""
    out: dict[str, torch.Tensor] = {}
    configs: dict[str, Any] = {}
    for part, modules in changes.items():
        pattern: dict[str, float] = {}
        for module, d in modules.items():
            rank = d.down.shape[0]
            if form == "kohya":
                name = kohya_name(part, module, kind, text_model)
                out[f"{name}.lora_down.weight"], out[f"{name}.lora_up.weight"] = d.down, d.up
                if alphas:
                    out[f"{name}.alpha"] = torch.tensor(d.scale * rank)
                continue
            inner = f"text_model.{module}" if part != "unet" and text_model else module
            pattern[inner] = d.scale * rank
            if form == "diffusers":
                name = _processor_name(inner)
                out[f"{part}.{name}.down.weight"], out[f"{part}.{name}.up.weight"] = d.down, d.up
                continue
            start = "base_model.model" if form == "wrapped" else part
            out[f"{start}.{inner}.lora_A.weight"] = d.down
            out[f"{start}.{inner}.lora_B.weight"] = d.up
        config = {"r": 2, "lora_alpha": 2, "alpha_pattern": pattern, "peft_type": "LORA"}
        configs |= {f"{part}.{k}": v for k, v in config.items()}
        if form == "wrapped":
            (path.parent / "adapter_config.json").write_text(json.dumps(config))
    meta = dict(metadata or {})
    if form == "peft" and alphas:
        meta["lora_adapter_metadata"] = json.dumps(configs)
    save_file({k: v.contiguous() for k, v in out.items()}, path, metadata=meta or None)
    return path
