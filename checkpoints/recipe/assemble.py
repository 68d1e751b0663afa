"""Puts the trained parts together as the folders that the program loads: fp16 safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ...samples import vocabulary

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer


def text_to_image(
    folder: Path,
    vae: AutoencoderKL,
    net: UNet2DConditionModel,
    text: CLIPTextModel,
    tok: CLIPTokenizer,
) -> None:
    """A Stable Diffusion pipeline folder."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    from .diffusion.denoiser import schedule

    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tok,
        unet=net,
        scheduler=DDIMScheduler.from_config(
            schedule().config, clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    pipe.to(torch.float32)


def controlnet(folder: Path, control: ControlNetModel) -> None:
    """A ControlNet folder."""
    control.half().save_pretrained(folder, safe_serialization=True)
    control.float()


def forget_paths(folder: Path) -> None:
    """Take from the configurations in a folder the paths that the parts were loaded from."""
    for file in folder.rglob("config.json"):
        config = json.loads(file.read_text())
        if config.pop("_name_or_path", None) is not None:
            file.write_text(json.dumps(config, indent=2) + "\n")


def words(folder: Path) -> None:
    """words.json: what the embedded models know."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.json").write_text(json.dumps(vocabulary.words(), indent=1) + "\n")
