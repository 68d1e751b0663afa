"""Z-Image through all stages on small random models, against diffusers' own pipelines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from helpers import tiny_zimage, transformer_loras
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
from visuals.checkpoints.catalog.names import mini_folder
from visuals.checkpoints.lora import file as lora_file
from visuals.checkpoints.lora.search import in_folders
from visuals.configs.errors import UsageError
from visuals.configs.generate import HiresSettings, VariationSettings
from visuals.configs.schema import load_settings
from visuals.pipeline.build import family_options
from visuals.pipeline.build.stages import check_words
from visuals.stages.diffusion import control_maps
from visuals.stages.diffusion.inpaint import Controlled
from visuals.stages.diffusion.passes import fit


@pytest.fixture(scope="module")
def zimage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zimage")
    tiny_zimage.write(folder)
    return folder


@pytest.fixture(scope="module")
def base(zimage: Path) -> Any:
    return load.load_text_to_image(zimage / "base")


def test_stage_1_draws_what_the_pipeline_of_diffusers_draws(base: Any) -> None:
    ours, other = drawn(base, "a red mug", "a blue [car:mug:0.5]", cfg_scale=1)
    theirs = call(base, prompt="a red mug", num_inference_steps=3, generator=seeded(0))
    assert ours.shape == (64, 80, 3) and psnr(ours, theirs) > 50
    (guided,) = drawn(base, "a red mug", negative="grey", cfg_scale=3)
    theirs = call(
        base, prompt="a red mug", negative_prompt="grey", guidance_scale=2.0,
        num_inference_steps=3, generator=seeded(0),
    )  # fmt: skip
    assert psnr(guided, theirs) > 50 and psnr(guided, ours) < 45
    assert (other != drawn(base, "-", "a blue car", cfg_scale=1)[1]).any(), "nothing was edited"


def test_further_passes_begin_from_what_they_are_given(base: Any) -> None:
    (plain,) = drawn(base, "a red mug", cfg_scale=1)
    for upscaler in ("latent", "lanczos"):
        hires = HiresSettings(scale=1.5, upscaler=upscaler, strength=0.5)  # type: ignore[arg-type]
        (large,) = drawn(base, "a red mug", hires=hires, cfg_scale=1)
        assert large.shape == (96, 128, 3), upscaler  # multiples of 16: 120 → 128
    photo = noise(1, 96)
    (ours,) = drawn(base, "a red mug", init_image=photo, prompt_strength=0.7, cfg_scale=1)
    over = diffusers.AutoPipelineForImage2Image.from_pipe(base)
    theirs = call(
        over, prompt="a red mug", image=fit(photo, (80, 64)), strength=0.7,
        num_inference_steps=3, generator=seeded(0),
    )  # fmt: skip
    assert psnr(ours, theirs) > 50
    (same,) = drawn(base, "a red mug", cfg_scale=1, variation=VariationSettings(seed=9, strength=0))
    varied = VariationSettings(seed=9, strength=0.5)
    (mixed,) = drawn(base, "a red mug", cfg_scale=1, variation=varied)
    assert (same == plain).all() and (mixed != plain).any()


def test_stage_3_without_its_control_is_the_inpainting_pipeline(zimage: Path, base: Any) -> None:
    pipe = load.load_controlnet_inpaint(zimage / "base", [zimage / "controlnet"], base=base)
    none = [Controlled(control_maps.Canny(), 0.0)]
    ours = redrawn(pipe, none, "a red mug", "a blue mug", cfg_scale=3)
    theirs = call(
        diffusers.ZImageInpaintPipeline.from_pipe(base), prompt="a red mug", negative_prompt="grey",
        image=as_image(IMAGES[0]), mask_image=as_image(MASKS[0]), strength=0.7,
        num_inference_steps=4, guidance_scale=2.0, generator=seeded(5),
    )  # fmt: skip
    assert psnr(ours[0].pixels[MASKS[0]], theirs[MASKS[0]]) > 50
    assert psnr(ours[0].pixels, ours[1].pixels) < 45


@pytest.mark.parametrize("name", ["controlnet", "plain"])
def test_stage_3_is_led_as_the_pipeline_of_diffusers_is(zimage: Path, base: Any, name: str) -> None:
    """At strength 1 and with all of the picture masked: theirs takes neither."""
    pipe = load.load_controlnet_inpaint(zimage / "base", [zimage / name], base=base)
    edges = control_maps.Canny()
    ours = redrawn(pipe, [Controlled(edges, 0.7)], "a red mug", masks=ALL, strength=1, cfg_scale=1)[
        0
    ]
    latents = latents_of_the_noise(base)
    seen = {"image": as_image(IMAGES[0]), "mask_image": as_image(ALL[0])}
    theirs = call(
        pipe, prompt="a red mug", control_image=as_image(edges(IMAGES[:1], ALL[:1])[0]),
        controlnet_conditioning_scale=0.7, num_inference_steps=4, latents=latents,
        **(seen if name == "controlnet" else {}),
    )  # fmt: skip
    assert psnr(ours.pixels, theirs) > 50
    half = [Controlled(edges, 0.7, guidance_end=0.5)]
    some = redrawn(pipe, half, "a red mug", masks=ALL, strength=1, cfg_scale=1)[0]
    none = redrawn(pipe, [Controlled(edges, 0.0)], "a red mug", masks=ALL, strength=1, cfg_scale=1)[
        0
    ]
    assert min(psnr(some.pixels, other.pixels) for other in (ours, none)) < 45


def latents_of_the_noise(base: Any) -> torch.Tensor:
    """The noise of stage 3, which its seed gives after the picture was encoded."""
    draw = seeded(5)
    pixels = base.image_processor.preprocess(as_image(IMAGES[0]))
    base.vae.encode(pixels).latent_dist.sample(draw)
    return torch.randn((1, 16, 8, 10), generator=draw)


def test_the_preset_runs_all_stages_and_keeps_the_scene(mini: Path, zimage: Path) -> None:
    _, lines = all_stages("zimage", zimage / "base", zimage / "controlnet")
    assert "generate.clip_skip is not used: Z-Image does not read CLIP's layers" in lines


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("generate.sampler", "DPM++ 2M", "has Euler, "),
        ("generate.width", 72, "expected a multiple of 16"),
        ("refiner.model", "sdxl-refiner", "refiner: an SDXL refiner"),
        ("rerender.controls", ["canny", "depth"], "takes one control"),
    ],
)
def test_options_that_it_lacks_are_refused_before_models_load(
    zimage: Path, name: str, value: Any, why: str
) -> None:
    changes = {"generate.model": str(zimage / "base"), name: value}
    with pytest.raises(UsageError, match=why):
        family_options.check(load_settings("zimage", changes))


def test_controlnets_of_one_file_are_read_by_their_shapes(
    zimage: Path, base: Any, tmp_path: Path
) -> None:
    shape = {**tiny_zimage.SHAPE, "control_refiner_layers_places": [0, 1]}
    for version, layers, channels, refiner in (
        ("1", range(0, 30, 5), 16, None),
        ("2.0", range(0, 30, 2), 33, "control_layers"),
        ("2.1", range(0, 30, 2), 33, "control_noise_refiner"),
    ):
        net = diffusers.ZImageControlNetModel(
            **shape, control_layers_places=list(layers), control_in_dim=channels,
            add_control_noise_refiner=refiner,
        )  # fmt: skip
        weights = {name: torch.randn_like(value) for name, value in net.state_dict().items()}
        if version == "2.0":  # it has weights of a refiner that it does not use
            weights["control_noise_refiner.0.before_proj.weight"] = torch.zeros(32, 32)
        save_file(weights, tmp_path / f"{version}.safetensors")
        got = load.load_controlnet_inpaint("it", [tmp_path / f"{version}.safetensors"], base=base)
        expected = {name: v for name, v in net.config.items() if not name.startswith("_")}
        assert expected == {name: got.controlnet.config[name] for name in expected}, version
        own = got.controlnet.state_dict()
        assert all(torch.equal(own[name], weights[name]) for name in own if name in weights)
        assert set(net.state_dict()) <= set(weights)


BLOCKS = r"(layers|noise_refiner|context_refiner)\."


def test_loras_in_the_names_of_several_trainers_act_alike(zimage: Path, tmp_path: Path) -> None:
    """As published files name them: ai-toolkit's (`diffusion_model.`; tdrussell/diffusion-pipe
    issue 470), diffusers' (`transformer.`), and kohya's over diffusers' modules and over those of
    the original code (huggingface/diffusers issue 13203 and its converter)."""
    pipe = load.load_text_to_image(zimage / "base")
    weights = transformer_loras.matrices(
        pipe.transformer, BLOCKS, fused={"to_k": "to_q", "to_v": "to_q"}
    )
    named = transformer_loras.kohya(weights)
    original = {k: v for k, v in named.items() if "_to_" not in k}
    for stem in {re.sub("_to_q.*", "", key) for key in named if "_to_q." in key}:
        original[f"{stem}_qkv.lora_down.weight"] = named[f"{stem}_to_q.lora_down.weight"]
        ups = [named[f"{stem}_to_{letter}.lora_up.weight"] for letter in "qkv"]
        original[f"{stem}_qkv.lora_up.weight"] = torch.cat(ups)
        for ending in ("lora_down.weight", "lora_up.weight"):
            original[f"{stem}_out.{ending}"] = named[f"{stem}_to_out_0.{ending}"]
        for part in ("qkv", "out"):
            original[f"{stem}_{part}.alpha"] = torch.tensor(transformer_loras.ALPHA)
    assert "lora_unet_context_refiner_0_attention_qkv.lora_up.weight" in original
    files = {
        "diffusers": transformer_loras.diffusers(weights),
        "toolkit": transformer_loras.diffusers(weights, "diffusion_model."),
        "kohya": named,
        "original": original,
        "comfy": {
            re.sub(r"lora_unet_(\w+)_(\d)_attention_", r"diffusion_model.\1.\2.attention.", key): v
            for key, v in original.items()
            if "_attention_" in key
        }
        | {k: v for k, v in original.items() if "_attention_" not in k},
        **transformer_loras.wrapped(weights),
    }
    (plain,) = drawn(pipe, "a red mug", cfg_scale=1)
    transformer_loras.acts(pipe, weights, files, tmp_path)
    assert {str(lora_file.read(f).base) for f in tmp_path.glob("*")} == {"Z-Image"}
    find = in_folders([tmp_path])
    pictures = [
        drawn(pipe, f"a red mug <lora:{form}:0.8>", find_lora=find, cfg_scale=1)[0]
        for form in ("toolkit", "original")
    ]
    assert psnr(*pictures) > 45 > psnr(pictures[0], plain)
    assert (drawn(pipe, "a red mug", cfg_scale=1)[0] == plain).all()


def test_loras_of_others_are_refused(zimage: Path) -> None:
    changes = {"generate.model": str(zimage / "base"), "generate.prompt": "a <lora:ppzmini:1>"}
    folders = {"generate.lora_dirs": ["mini/loras"]}
    with pytest.raises(UsageError, match=r"'ppzmini' was trained for .*, but .* is Z-Image"):
        check_words(load_settings("zimage", changes | folders))


def test_a_vae_of_another_family_is_refused_before_the_model_loads(zimage: Path) -> None:
    vae = mini_folder() / "sd" / "vae"
    with pytest.raises(UsageError, match="latents have 4 channels, those of the model 16"):
        load.load_text_to_image(zimage / "base", vae=vae)


def test_base_loras_are_read_as_those_of_prompts_are(zimage: Path, tmp_path: Path) -> None:
    """In names that diffusers' loader does not know; one of another base is refused."""
    pipe = load.load_text_to_image(zimage / "base")
    weights = transformer_loras.matrices(pipe.transformer, r"layers\.0\.attention\.to_q")
    layer = pipe.transformer.layers[0].attention.to_q
    before = layer.weight.clone()
    save_file(transformer_loras.wrapped(weights)["onetrainer"], tmp_path / "own.safetensors")
    load.fuse_lora(pipe, tmp_path / "own.safetensors", scale=0.8)
    a, b = (weights[f"layers.0.attention.to_q.{letter}"] for letter in "AB")
    gain = 0.8 * transformer_loras.ALPHA / transformer_loras.RANK * b @ a
    assert torch.allclose(layer.weight, before + gain, atol=1e-4)
    transformer_loras.flux_attention(tmp_path, "kohya")
    with pytest.raises(UsageError, match="was trained for Flux, but the model is Z-Image"):
        load.fuse_lora(pipe, tmp_path / "kohya.safetensors")
