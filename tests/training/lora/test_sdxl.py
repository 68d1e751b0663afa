"""SDXL: two text encoders, sizes as conditions, Stability's names in kohya's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.small_trainings import small, write_photos
from safetensors import safe_open
from safetensors.torch import load_file

from visuals.checkpoints.load import load_text_to_image
from visuals.training.lora import sgm_names
from visuals.training.train_lora import train_lora


def tiny_xl() -> Any:
    """A small SDXL of random weights, with the embedded tokenizer and VAE."""
    from diffusers import (
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    mini = load_text_to_image("mini/sd")
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        norm_num_groups=8,
        cross_attention_dim=64,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
    )
    tok = mini.tokenizer
    config = CLIPTextConfig(
        vocab_size=len(tok),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=32,
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
    )
    return StableDiffusionXLPipeline(
        vae=mini.vae,
        text_encoder=CLIPTextModel(config),
        text_encoder_2=CLIPTextModelWithProjection(config),
        tokenizer=tok,
        tokenizer_2=tok,
        unet=unet,
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear"),
    )


def weights(pipe: Any) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name.replace('.base_layer', '')}": value.clone()
        for part in ("unet", "text_encoder", "text_encoder_2")
        for name, value in getattr(pipe, part).state_dict().items()
        if "lora_" not in name
    }


def test_an_sdxl_is_trained_and_its_files_read_alike(tmp_path: Path, mini: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    settings = small(
        photos,
        tmp_path / "out",
        max_train_steps=3,
        learning_rate=1e-2,
        text_encoder_lr=1e-2,
        conv_dim=2,
        validation_split=0.2,
        validation_prompts=["a mug"],
        validation_inference_steps=2,
    )
    done = train_lora(settings, base=tiny_xl())
    assert done.grid and len(done.held_out) == 3
    with safe_open(done.lora, "pt") as file:
        keys, told = set(file.keys()), file.metadata()
    assert "lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q.lora_down.weight" in keys
    assert "lora_unet_output_blocks_2_2_conv.lora_up.weight" in keys
    assert "lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha" in keys
    assert "lora_te2_text_model_encoder_layers_0_self_attn_q_proj.alpha" in keys
    assert told["ss_base_model_version"] == "sdxl_base_v1-0"
    assert told["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    base = weights(tiny_xl())
    got = []
    for path in (done.lora, done.diffusers):
        pipe = tiny_xl()
        pipe.load_lora_weights(str(path.parent), weight_name=path.name)
        pipe.fuse_lora()
        got.append(weights(pipe))
    trained = {n.rsplit(".lora_", 1)[0] for n in load_file(done.diffusers)}
    # SDXL reads the last but one layer of its first text encoder: the last one learns nothing.
    unused = {n for n in trained if n.startswith("text_encoder.text_model.encoder.layers.1.")}
    changed = {n for n in base if not torch.equal(base[n], got[0][n])}
    assert len(unused) == 6 and len(changed) == len(trained) - len(unused)
    for name in base:
        torch.testing.assert_close(got[0][name], got[1][name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("down_blocks.0.resnets.1.conv1", "input_blocks.2.0.in_layers.2"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"),
        ("down_blocks.2.attentions.1.proj_out", "input_blocks.8.1.proj_out"),
        ("mid_block.attentions.0.proj_in", "middle_block.1.proj_in"),
        ("mid_block.resnets.1.conv2", "middle_block.2.out_layers.3"),
        ("up_blocks.1.attentions.2.transformer_blocks.0.ff.net.2",
         "output_blocks.5.1.transformer_blocks.0.ff.net.2"),
        ("up_blocks.1.upsamplers.0.conv", "output_blocks.5.2.conv"),
        ("up_blocks.2.resnets.2.conv_shortcut", "output_blocks.8.0.skip_connection"),
    ],
)  # fmt: skip
def test_stabilitys_names(module: str, name: str) -> None:
    assert sgm_names.name(module) == name


def test_what_has_no_such_name() -> None:
    with pytest.raises(ValueError, match=r"'conv_in': expected a module of a block"):
        sgm_names.name("conv_in")
