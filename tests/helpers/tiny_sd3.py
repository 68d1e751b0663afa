"""Writes a small random Stable Diffusion 3.5 and ControlNets for it, as the hub lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import tiny_flux, tiny_zimage

WIDTH = 32
SHAPE: dict[str, Any] = {
    "sample_size": 16,
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "caption_projection_dim": WIDTH,
    "pooled_projection_dim": 2 * WIDTH // 2,
    "pos_embed_max_size": 24,
    "qk_norm": "rms_norm",
}


def write(folder: Path, seed: int = 0) -> None:
    """`base`, whose first block has a second attention as 3.5 medium's have, `controlnet` (which
    reads prompts) and `large` (which does not, as those of 3.5 large) below a folder."""
    import torch
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        SD3ControlNetModel,
        SD3Transformer2DModel,
        StableDiffusion3Pipeline,
    )
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    from visuals.checkpoints.recipe.diffusion import denoiser

    torch.manual_seed(seed)
    words = denoiser.tokenizer(["a red mug on a white background", "blue car, shelf"], 620)
    third, third_words = tiny_flux._t5()
    clip = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=WIDTH // 2,
        projection_dim=WIDTH // 2,
        intermediate_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        eos_token_id=words.eos_token_id,
        bos_token_id=words.bos_token_id,
        pad_token_id=words.pad_token_id,
    )
    vae = tiny_zimage.vae()
    with torch.no_grad():  # as narrow as a trained one's: what it draws is the mean
        vae.encoder.conv_out.weight[16:] = 0
        vae.encoder.conv_out.bias[16:] = -30
    StableDiffusion3Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=CLIPTextModelWithProjection(clip),
        tokenizer=words,
        text_encoder_2=CLIPTextModelWithProjection(clip),
        tokenizer_2=words,
        text_encoder_3=third,
        tokenizer_3=third_words,
        transformer=SD3Transformer2DModel(
            **SHAPE, num_layers=2, joint_attention_dim=WIDTH, dual_attention_layers=(0,)
        ),
    ).save_pretrained(folder / "base")
    for name, reads in (("controlnet", True), ("large", False)):
        net = SD3ControlNetModel(
            **SHAPE,
            num_layers=1,
            joint_attention_dim=WIDTH if reads else None,
            pos_embed_type="sincos" if reads else None,
            use_pos_embed=reads,
            force_zeros_for_pooled_projection=reads,
        )
        for module in (*net.controlnet_blocks, net.pos_embed_input.proj):
            torch.nn.init.normal_(module.weight, 0, 0.3)  # zero layers would hide the map
        net.save_pretrained(folder / name)
