"""Writes small random-weight models of SDXL's kind: base, refiner, ControlNets, IP-Adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WIDTH = 32


def _unet(**over: Any) -> Any:
    from diffusers import UNet2DConditionModel

    values: dict[str, Any] = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (16, 32),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "attention_head_dim": (2, 4),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "transformer_layers_per_block": (1, 2),
        "projection_class_embeddings_input_dim": 6 * 8 + WIDTH,
        "cross_attention_dim": 2 * WIDTH,
        "norm_num_groups": 8,
    }
    return UNet2DConditionModel(**{**values, **over})


def write(folder: Path, seed: int = 0) -> None:
    """`base`, `refiner`, `controlnet`, `union` below a folder, as diffusers lays them out."""
    import torch
    from diffusers import (
        AutoencoderTiny,
        ControlNetModel,
        ControlNetUnionModel,
        EulerDiscreteScheduler,
        StableDiffusionXLImg2ImgPipeline,
        StableDiffusionXLPipeline,
    )
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    from visuals.checkpoints.recipe.diffusion import denoiser, vae

    torch.manual_seed(seed)
    words = denoiser.tokenizer(["a red sneaker on a white background", "blue mug, shelf"], 620)
    first = denoiser.text_encoder(words, width=WIDTH, layers=2)
    second = CLIPTextModelWithProjection(CLIPTextConfig.from_dict(first.config.to_dict()))
    schedule = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    shared = {
        "vae": vae.build((16, 16, 16, 16)),
        "text_encoder_2": second,
        "tokenizer_2": words,
        "scheduler": schedule,
        "add_watermarker": False,
    }
    net = _unet()
    base = StableDiffusionXLPipeline(text_encoder=first, tokenizer=words, unet=net, **shared)
    base.save_pretrained(folder / "base")
    small = _unet(cross_attention_dim=WIDTH, projection_class_embeddings_input_dim=5 * 8 + WIDTH)
    StableDiffusionXLImg2ImgPipeline(
        text_encoder=None,
        tokenizer=None,
        unet=small,
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        **shared,
    ).save_pretrained(folder / "refiner")
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
    ).save_pretrained(folder / "taesd")
    hint = {"conditioning_embedding_out_channels": (8, 8, 16, 16)}
    control = ControlNetModel.from_unet(net, **hint)
    control.save_pretrained(folder / "controlnet")
    # from_unet of the union has a fixed depth of heads; its own constructor takes all.
    taken = {
        key: net.config[key]
        for key in (
            "down_block_types", "block_out_channels", "layers_per_block", "attention_head_dim",
            "use_linear_projection", "addition_embed_type", "addition_time_embed_dim",
            "transformer_layers_per_block", "projection_class_embeddings_input_dim",
            "cross_attention_dim", "norm_num_groups",
        )
    }  # fmt: skip
    union = ControlNetUnionModel(
        **taken,
        **hint,
        num_control_type=6,
        num_trans_channel=16,
        num_trans_head=2,
        num_proj_channel=16,
    )
    for block in [*control.controlnet_down_blocks, *union.controlnet_down_blocks]:
        torch.nn.init.normal_(block.weight, 0, 0.5)  # zero convolutions would hide the map
    union.save_pretrained(folder / "union")
    control.save_pretrained(folder / "controlnet")


def write_ip_adapter(folder: Path, unet: Any, seed: int = 0) -> None:
    """An IP-Adapter for a UNet, with its image encoder, as h94/IP-Adapter lays them out."""
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(seed)
    width, tokens, features = unet.config.cross_attention_dim, 4, 16
    encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
            projection_dim=features,
        )
    )
    encoder.save_pretrained(folder / "models" / "image_encoder")
    weights = {
        "image_proj.proj.weight": torch.randn(tokens * width, features),
        "image_proj.proj.bias": torch.zeros(tokens * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    number = 1
    for name in unet.attn_processors:
        if name.endswith("attn1.processor"):
            continue
        inner = unet.get_submodule(name.removesuffix(".processor")).inner_dim
        for part in ("k", "v"):
            weights[f"ip_adapter.{number}.to_{part}_ip.weight"] = torch.randn(inner, width) * 0.3
        number += 2
    save_file(weights, folder / "models" / "ip-adapter.safetensors")
