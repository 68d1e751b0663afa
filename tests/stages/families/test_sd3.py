"""Stable Diffusion 3.5 through all stages on small random models, against diffusers' own
pipelines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.loaders import single_file_utils
from helpers import tiny_sd3, transformer_loras
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

from visuals.checkpoints import load
from visuals.checkpoints.lora import transformer_names
from visuals.configs.generate import HiresSettings, VariationSettings
from visuals.stages.diffusion import control_maps
from visuals.stages.diffusion.inpaint import Controlled
from visuals.stages.diffusion.passes import fit
from visuals.stages.families.known import family_named


@pytest.fixture(scope="module")
def sd3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sd3")
    tiny_sd3.write(folder)
    return folder


@pytest.fixture(scope="module")
def base(sd3: Path) -> Any:
    return load.load_text_to_image(sd3 / "base")


def test_its_name_is_told_from_those_of_stable_diffusion() -> None:
    names = ("StableDiffusion3Pipeline", "StableDiffusionPipeline", "StableDiffusionXLPipeline")
    families = [type(family_named(name)).__name__ for name in names]
    assert families == ["StableDiffusion3", "StableDiffusion", "StableDiffusionXL"]


def test_stages_1_and_picture_to_picture_are_those_of_diffusers(base: Any) -> None:
    ours, other = drawn(base, "a red mug", "a blue [car:mug:0.5]", negative="grey", cfg_scale=3)
    words = {"prompt": "a red mug", "negative_prompt": "grey", "guidance_scale": 3.0}
    theirs = call(base, **words, num_inference_steps=3, generator=seeded(0))
    assert ours.shape == (64, 80, 3) and psnr(ours, theirs) > 50
    plain = drawn(base, "-", "a blue car", negative="grey", cfg_scale=3)[1]
    assert (other != plain).any(), "nothing was edited"
    photo = noise(1, 96)
    (over,) = drawn(
        base, "a red mug", negative="grey", cfg_scale=3, init_image=photo, prompt_strength=0.7
    )
    theirs = call(
        diffusers.AutoPipelineForImage2Image.from_pipe(base), **words, image=fit(photo, (80, 64)),
        strength=0.7, num_inference_steps=3, generator=seeded(0),
    )  # fmt: skip
    assert psnr(over, theirs) > 50
    hires = HiresSettings(scale=1.5, upscaler="latent", strength=0.5)
    assert drawn(base, "a red mug", hires=hires)[0].shape == (96, 128, 3)
    (same,) = drawn(
        base, "a red mug", negative="grey", cfg_scale=3,
        variation=VariationSettings(seed=9, strength=0),
    )  # fmt: skip
    assert psnr(same, ours) > 50


def test_stage_3_without_its_control_is_the_inpainting_pipeline(sd3: Path, base: Any) -> None:
    nets = [sd3 / "controlnet"] * 2
    pipe = load.load_controlnet_inpaint(sd3 / "base", nets, base=base)
    none = [Controlled(control_maps.Canny(), 0.0), Controlled(control_maps.Tile(), 0.0)]
    ours = redrawn(pipe, none, "a red mug", "a blue mug", cfg_scale=3)
    theirs = call(
        diffusers.StableDiffusion3InpaintPipeline.from_pipe(base), prompt="a red mug",
        negative_prompt="grey", guidance_scale=3.0, image=as_image(IMAGES[0]),
        mask_image=as_image(MASKS[0]), strength=0.7, num_inference_steps=4, generator=seeded(5),
        output_type="latent",
    )  # fmt: skip
    theirs = pictures(base, theirs / 255)
    assert psnr(ours[0].pixels[MASKS[0]], theirs[MASKS[0]]) > 50
    assert psnr(ours[0].pixels, ours[1].pixels) < 45


def pictures(base: Any, latents: Any) -> Any:
    """diffusers' inpainting pipeline leaves the VAE's shift out when it decodes."""
    from visuals.stages.diffusion.decode import decode

    with torch.inference_mode():
        return decode(base, latents[None])[0].image * 255


@pytest.mark.parametrize("name", ["controlnet", "large"])
def test_stage_3_is_led_as_the_pipeline_of_diffusers_is(sd3: Path, base: Any, name: str) -> None:
    """At strength 1 and with all of the picture masked: theirs takes neither."""
    pipe = load.load_controlnet_inpaint(sd3 / "base", [sd3 / name], base=base)
    edges = control_maps.Canny()
    options: dict[str, Any] = {"masks": ALL, "strength": 1, "cfg_scale": 3}
    half = [Controlled(edges, 0.7, guidance_end=0.5)]
    ours, again = (redrawn(pipe, half, "a red mug", **options)[0] for _ in range(2))
    draw = seeded(5)
    torch.randn((1, 16, 8, 10), generator=draw)  # for the picture's latents
    theirs = call(
        pipe, prompt="a red mug", negative_prompt="grey", guidance_scale=3.0,
        control_image=as_image(edges(IMAGES[:1], ALL[:1])[0]), num_inference_steps=4,
        controlnet_conditioning_scale=0.7, control_guidance_end=0.5,
        latents=torch.randn((1, 16, 8, 10), generator=draw),
    )  # fmt: skip
    assert psnr(ours.pixels, theirs) > 50 and (ours.pixels == again.pixels).all()
    none = redrawn(pipe, [Controlled(edges, 0.0)], "a red mug", **options)[0]
    assert psnr(ours.pixels, none.pixels) < 45


def test_the_preset_runs_all_stages_and_keeps_the_scene(mini: Path, sd3: Path) -> None:
    _, lines = all_stages("sd35", sd3 / "base", sd3 / "controlnet")
    why = "Stable Diffusion 3 always reads CLIP's last layer but one"
    assert f"generate.clip_skip is not used: {why}" in lines


def test_loras_of_kohya_and_diffusers_act_alike(sd3: Path, tmp_path: Path) -> None:
    """kohya's names are those of sd-scripts' networks/lora_sd3.py: the original code's modules
    (joint_blocks.0.x_block.attn.qkv …), which diffusers' converter of checkpoints renames too."""
    pipe = load.load_text_to_image(sd3 / "base")
    shared = dict.fromkeys(("to_k", "to_v"), "to_q")
    shared |= dict.fromkeys(("add_k_proj", "add_v_proj"), "add_q_proj")
    weights = transformer_loras.matrices(pipe.transformer, r"transformer_blocks\.", fused=shared)
    kohya = {}
    for (block, module), names in original_modules(weights).items():
        stem = f"lora_unet_joint_blocks_{block}_{module}"
        paths = [f"transformer_blocks.{block}.{name}" for name in names]
        up = torch.cat([weights[f"{path}.B"] for path in paths])
        if module == "context_block_adaLN_modulation_1" and len(up) == 2 * tiny_sd3.WIDTH:
            up = single_file_utils.swap_scale_shift(up, None)
        kohya[f"{stem}.lora_up.weight"] = up
        kohya[f"{stem}.lora_down.weight"] = weights[f"{paths[0]}.A"].clone()
        kohya[f"{stem}.alpha"] = torch.tensor(transformer_loras.ALPHA)
    comfy = {}  # the original code's names with their points
    for key, value in kohya.items():
        block, module, rest = re.fullmatch(r"lora_unet_joint_blocks_(\d)_(\w+)(\..+)", key).groups()
        dotted = re.sub(r"_(?=attn|mlp|adaLN|qkv|proj|fc\d|\d$)", ".", module)
        comfy[f"diffusion_model.joint_blocks.{block}.{dotted}{rest}"] = value
    assert "diffusion_model.joint_blocks.0.x_block.adaLN_modulation.1.alpha" in comfy
    files = {
        "diffusers": transformer_loras.diffusers(weights), "kohya": kohya, "comfy": comfy,
        **transformer_loras.wrapped(weights),
    }  # fmt: skip
    assert "lora_unet_joint_blocks_0_x_block_attn2_qkv.lora_up.weight" in kohya
    transformer_loras.acts(pipe, weights, files, tmp_path)


def original_modules(weights: Any) -> dict[tuple[str, str], tuple[str, ...]]:
    """(Block, module of the original code) → modules of diffusers, for all that are there."""
    found = {
        (block, module): names
        for block in ("0", "1")
        for module, names in transformer_names._SD3.items()
        if f"transformer_blocks.{block}.{names[0]}.A" in weights
    }
    assert sum(map(len, found.values())) == len(weights) // 2, "a module without a name"
    return found


def test_names_of_the_original_code_are_those_of_diffusers_converter() -> None:
    """Each module's rows go where diffusers puts those of a checkpoint."""
    width, state = 4, {"pos_embed": torch.zeros(1)}
    roots = ("x_embedder.proj", "context_embedder", "final_layer.linear")
    roots += tuple(f"{part}_embedder.mlp.{k}" for part in "ty" for k in (0, 2))
    modules = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2", "adaLN_modulation.1")
    named = [f"x_block.{m}" for m in (*modules, "attn2.qkv", "attn2.proj")]
    named += [f"context_block.{m}" for m in modules]
    blocks = [f"joint_blocks.{k}.{name}" for k in (0, 1) for name in named]
    for name in (*roots, "final_layer.adaLN_modulation.1", *blocks):
        last = name.startswith("joint_blocks.1.context_block.adaLN")
        state[f"{name}.weight"] = torch.randn((2 if last else 6) * width, width)
        state[f"{name}.bias"] = torch.zeros((2 if last else 6) * width)
    lora = {}
    for name in blocks:
        stem = "lora_unet_" + name.replace(".", "_")
        lora[f"{stem}.lora_down.weight"] = torch.eye(width)
        lora[f"{stem}.lora_up.weight"] = state[f"{name}.weight"]
    ours = transformer_names.of_sd3(lora)
    theirs = single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers(dict(state))
    ups = {name: up for name, up in ours.items() if name.endswith("lora_B.weight")}
    same = {
        name: torch.equal(up, theirs[path])
        for name, up in ups.items()
        if (path := name.removeprefix("transformer.").replace("lora_B.", "")) in theirs
    }
    assert all(same.values()) and len(ups) - len(same) == 3  # of the last block, diffusers skips 3
