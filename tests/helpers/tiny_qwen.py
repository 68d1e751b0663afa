"""Writes a small random Qwen-Image and ControlNets for it, as the hub lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers import tiny_zimage

WIDTH = 32
SHAPE: dict[str, Any] = {
    "in_channels": 64,
    "out_channels": 16,
    "num_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "axes_dims_rope": (4, 6, 6),
}
SPECIAL = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def reader(words: Any) -> Any:
    """A Qwen2.5-VL of one layer."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    start, end, image, video = words.convert_tokens_to_ids(list(SPECIAL))
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(words), "hidden_size": WIDTH, "intermediate_size": WIDTH,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
            "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
        },
        vision_config={
            "depth": 1, "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_heads": 2,
            "out_hidden_size": WIDTH, "fullatt_block_indexes": [0],
        },
        vision_start_token_id=start, vision_end_token_id=end, image_token_id=image,
        video_token_id=video,
    )  # fmt: skip
    return Qwen2_5_VLForConditionalGeneration(config)


def processor(words: Any) -> Any:
    """What makes tokens of texts and of pictures, few of these."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    few = {"min_pixels": 56 * 56, "max_pixels": 56 * 56}
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**few),
        tokenizer=words,
        video_processor=Qwen2VLVideoProcessor(),
    )


def write(folder: Path, seed: int = 0) -> None:
    """`base`, `edit`, `controlnet` and `inpaint` (which takes a masked picture) below a folder."""
    import torch
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageControlNetModel,
        QwenImageEditPipeline,
        QwenImagePipeline,
        QwenImageTransformer2DModel,
    )

    torch.manual_seed(seed)
    words = tiny_zimage.words()
    words.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    vae = AutoencoderKLQwenImage(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    pipe = QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, max_image_seq_len=8192,
            shift_terminal=0.02, time_shift_type="exponential",
        ),
        vae=vae,
        text_encoder=reader(words),
        tokenizer=words,
        transformer=QwenImageTransformer2DModel(**SHAPE),
    )  # fmt: skip
    pipe.save_pretrained(folder / "base")
    QwenImageEditPipeline(**pipe.components, processor=processor(words)).save_pretrained(
        folder / "edit"
    )
    for name, more in (("controlnet", 0), ("inpaint", 4)):
        net = QwenImageControlNetModel(**SHAPE, extra_condition_channels=more)
        for block in net.controlnet_blocks:
            torch.nn.init.normal_(block.weight, 0, 0.5)  # zero layers would hide the map
        torch.nn.init.normal_(net.controlnet_x_embedder.weight, 0, 0.5)
        net.save_pretrained(folder / name)
