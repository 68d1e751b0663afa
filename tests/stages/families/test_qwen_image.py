"""Qwen-Image through all stages on small random models, against diffusers' own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from helpers import transformer_loras
from helpers.family_runs import (
    ALL,
    IMAGES,
    MASKS,
    all_stages,
    as_image,
    call,
    drawn,
    psnr,
    redrawn,
    seeded,
)
from helpers.inpaint_calls import noise
from safetensors.torch import save_file

from visuals.checkpoints import load
from visuals.checkpoints.lora.search import in_folders
from visuals.configs.errors import UsageError
from visuals.configs.generate import HiresSettings, VariationSettings
from visuals.stages.diffusion import control_maps, lora_adapters
from visuals.stages.diffusion.inpaint import Controlled
from visuals.stages.diffusion.passes import fit
from visuals.stages.families.known import family_of
from visuals.stages.prompts.lora_tags import LoraTag

WORDS = {"prompt": "a red mug", "negative_prompt": "grey", "true_cfg_scale": 3.0}


@pytest.fixture(scope="module")
def base(qwen: Path) -> Any:
    return load.load_text_to_image(qwen / "base")


def test_stages_1_and_picture_to_picture_are_those_of_diffusers(base: Any) -> None:
    ours, _ = drawn(base, "a red mug", "a longer prompt: a blue car", negative="grey", cfg_scale=3)
    theirs = call(base, **WORDS, guidance_scale=None, num_inference_steps=3, generator=seeded(0))
    assert ours.shape == (64, 80, 3) and psnr(ours, theirs) > 50
    photo = noise(1, 96)
    (over,) = drawn(
        base, "a red mug", negative="grey", cfg_scale=3, init_image=photo, prompt_strength=0.7
    )
    theirs = call(
        diffusers.AutoPipelineForImage2Image.from_pipe(base), **WORDS, guidance_scale=None,
        image=fit(photo, (80, 64)), strength=0.7, num_inference_steps=3, generator=seeded(0),
    )  # fmt: skip
    assert psnr(over, theirs) > 50
    for upscaler in ("latent", "lanczos"):
        hires = HiresSettings(scale=1.5, upscaler=upscaler, strength=0.5)  # type: ignore[arg-type]
        assert drawn(base, "a red mug", hires=hires, cfg_scale=1)[0].shape == (96, 128, 3)
    (same,) = drawn(
        base, "a red mug", negative="grey", cfg_scale=3,
        variation=VariationSettings(seed=9, strength=0),
    )  # fmt: skip
    assert psnr(same, ours) > 50


def test_stage_3_without_its_control_is_the_inpainting_pipeline(qwen: Path, base: Any) -> None:
    pipe = load.load_controlnet_inpaint(qwen / "base", [qwen / "controlnet"], base=base)
    none = [Controlled(control_maps.Canny(), 0.0)]
    ours = redrawn(pipe, none, "a red mug", "a much bluer mug", cfg_scale=3)
    theirs = call(
        diffusers.QwenImageInpaintPipeline(**base.components), **WORDS, guidance_scale=None,
        image=as_image(IMAGES[0]), mask_image=as_image(MASKS[0]), strength=0.7,
        num_inference_steps=4, generator=seeded(5),
    )  # fmt: skip
    assert psnr(ours[0].pixels[MASKS[0]], theirs[MASKS[0]]) > 45
    assert psnr(ours[0].pixels, ours[1].pixels) < 45


def test_stage_3_is_led_as_the_pipeline_of_diffusers_is(qwen: Path, base: Any) -> None:
    """At strength 1 and with all of the picture masked: theirs takes neither."""
    pipe = load.load_controlnet_inpaint(qwen / "base", [qwen / "controlnet"], base=base)
    edges = control_maps.Canny()
    options: dict[str, Any] = {"masks": ALL, "strength": 1, "cfg_scale": 3}
    half = [Controlled(edges, 0.7, guidance_end=0.5)]
    ours = redrawn(pipe, half, "a red mug", **options)[0]
    draw = seeded(5)
    torch.randn((1, 16, 1, 8, 10), generator=draw)  # for the picture's latents
    begin = torch.randn((1, 16, 8, 10), generator=draw)
    theirs = call(
        pipe, **WORDS, control_image=as_image(edges(IMAGES[:1], ALL[:1])[0]),
        num_inference_steps=4, controlnet_conditioning_scale=0.7, control_guidance_end=0.5,
        latents=pipe._pack_latents(begin, *begin.shape), generator=draw,
    )  # fmt: skip
    assert psnr(ours.pixels, theirs) > 50
    none = redrawn(pipe, [Controlled(edges, 0.0)], "a red mug", **options)[0]
    assert psnr(ours.pixels, none.pixels) < 45


def test_the_preset_runs_all_stages_and_keeps_the_scene(mini: Path, qwen: Path) -> None:
    _, lines = all_stages("qwen-image", qwen / "base", qwen / "controlnet")
    assert any(line.startswith("generate.clip_skip is not used") for line in lines)


def test_a_single_step_draws(qwen: Path, base: Any) -> None:
    """Stage 1 with every sampler, and a stage 3 of one step at strengths that run it."""
    for sampler in family_of(base).sampler_names:
        (one,) = drawn(base, "a red mug", negative="grey", cfg_scale=3, steps=1, sampler=sampler)
        assert one.std() > 0
    pipe = load.load_controlnet_inpaint(qwen / "base", [qwen / "controlnet"], base=base)
    for strength in (0.3, 1):
        shown = redrawn(
            pipe, [Controlled(control_maps.Canny(), 0.7)], "a red mug", steps=1, strength=strength
        )
        assert psnr(shown[0].pixels, IMAGES[0]) < 45


def test_loras_of_trainers_hit_every_module(qwen: Path, tmp_path: Path) -> None:
    """Names as diffusers, ai-toolkit (diffusion_model.) and musubi-tuner (lora_unet_, as
    `_convert_non_diffusers_qwen_lora_to_diffusers` of diffusers reads them) write them."""
    pipe = load.load_text_to_image(qwen / "base")
    weights = transformer_loras.matrices(pipe.transformer, r"transformer_blocks\.")
    assert len(weights) == 2 * 14 * 2
    files = {
        "diffusers": transformer_loras.diffusers(weights),
        "ai_toolkit": transformer_loras.diffusers(weights, "diffusion_model."),
        "kohya": transformer_loras.kohya(weights),
        **transformer_loras.wrapped(weights),
    }
    transformer_loras.acts(pipe, weights, files, tmp_path)
    name = "lora_transformer_transformer_blocks_99_attn_to_q"
    other = {f"{name}.lora_{half}.weight": torch.ones(32, 32) for half in ("down", "up")}
    save_file(other, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="does not fit the model, which has none of its modules"):
        lora_adapters.attach(pipe, [LoraTag("other")], in_folders([tmp_path]))


def test_a_controlnet_of_masked_pictures_is_refused(qwen: Path, base: Any) -> None:
    with pytest.raises(UsageError, match="takes a masked picture, not a map"):
        load.load_controlnet_inpaint("it", [qwen / "inpaint"], base=base)
