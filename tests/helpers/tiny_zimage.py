"""Writes a small random Z-Image and ControlNets for it, as the hub lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WIDTH = 32
SHAPE: dict[str, Any] = {"dim": WIDTH, "n_heads": 2, "n_kv_heads": 2, "n_refiner_layers": 1}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def words() -> Any:
    """A tokenizer of bytes, with a template for chats."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import Qwen2TokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({letter: k for k, letter in enumerate(letters)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return Qwen2TokenizerFast(
        tokenizer_object=core,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        chat_template=TEMPLATE,
        model_max_length=1024,
    )


def reader() -> Any:
    """A language model of two layers."""
    from transformers import Qwen3Config, Qwen3Model

    config = Qwen3Config(
        vocab_size=260,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
    )
    return Qwen3Model(config)


def vae() -> Any:
    """An autoencoder of 16 channels that makes pictures an eighth as wide."""
    from diffusers import AutoencoderKL

    blocks = 4
    return AutoencoderKL(
        latent_channels=16,
        block_out_channels=(8,) * blocks,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        norm_num_groups=4,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def write(folder: Path, seed: int = 0) -> None:
    """`base`, `controlnet` (which sees the masked picture) and `plain` (which does not) below a
    folder."""
    import torch
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        ZImageControlNetModel,
        ZImagePipeline,
        ZImageTransformer2DModel,
    )

    torch.manual_seed(seed)
    transformer = ZImageTransformer2DModel(
        **SHAPE, n_layers=2, cap_feat_dim=WIDTH, axes_dims=[4, 6, 6]
    )
    for token in (transformer.x_pad_token, transformer.cap_pad_token):
        torch.nn.init.normal_(token)
    ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(),
        text_encoder=reader(),
        tokenizer=words(),
        transformer=transformer,
    ).save_pretrained(folder / "base")
    for name, channels in (("controlnet", 33), ("plain", 16)):
        net = ZImageControlNetModel(
            **SHAPE,
            control_layers_places=[0, 1],
            control_refiner_layers_places=[0],
            control_in_dim=channels,
            add_control_noise_refiner="control_noise_refiner" if channels == 33 else None,
        )
        for part, parameter in net.named_parameters():
            if "_proj" in part:  # zero layers would hide the map
                torch.nn.init.normal_(parameter, 0, 0.3)
        net.save_pretrained(folder / name)
