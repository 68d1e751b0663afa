"""Writes a small random FLUX.1 and ControlNets for it, as the hub lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WIDTH = 32
SHAPE: dict[str, Any] = {
    "in_channels": 16,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "pooled_projection_dim": WIDTH,
    "axes_dims_rope": (4, 6, 6),
    "guidance_embeds": True,
}


def _t5() -> tuple[Any, Any]:
    """A T5 encoder of one layer and its tokenizer, of letters."""
    from string import ascii_lowercase

    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    vocabulary += [(letter, -3.0) for letter in ascii_lowercase]
    core = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    config = T5Config(
        vocab_size=len(vocabulary), d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    words = T5TokenizerFast(tokenizer_object=core, extra_ids=0, model_max_length=512)
    return T5EncoderModel(config), words


def write(folder: Path, seed: int = 0) -> None:
    """`base`, `kontext`, `fill`, `controlnet` and `union` (of several modes) below a folder."""
    import torch
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        FluxControlNetModel,
        FluxFillPipeline,
        FluxKontextPipeline,
        FluxPipeline,
        FluxTransformer2DModel,
    )

    from visuals.checkpoints.recipe.diffusion import denoiser

    torch.manual_seed(seed)
    words = denoiser.tokenizer(["a red mug on a white background", "blue car, shelf"], 620)
    second, second_words = _t5()
    blocks = 4
    vae = AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8,) * blocks,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        norm_num_groups=4,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    parts = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=vae,
        text_encoder=denoiser.text_encoder(words, width=WIDTH, layers=1),
        tokenizer=words,
        text_encoder_2=second,
        tokenizer_2=second_words,
        transformer=FluxTransformer2DModel(**SHAPE),
    )
    parts.save_pretrained(folder / "base")
    FluxKontextPipeline(**parts.components).save_pretrained(folder / "kontext")
    for name, modes in (("controlnet", None), ("union", 7)):
        net = FluxControlNetModel(**SHAPE, num_mode=modes)
        for block in [*net.controlnet_blocks, *net.controlnet_single_blocks]:
            torch.nn.init.normal_(block.weight, 0, 0.5)  # zero layers would hide the map
        torch.nn.init.normal_(net.controlnet_x_embedder.weight, 0, 0.5)
        net.save_pretrained(folder / name)
    fill = FluxTransformer2DModel(**{**SHAPE, "in_channels": 16 + 16 + 256}, out_channels=16)
    others = {name: part for name, part in parts.components.items() if part is not None}
    FluxFillPipeline(**{**others, "transformer": fill}).save_pretrained(folder / "fill")
