"""FLUX.1 through all stages on small random models, against diffusers' own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.inpaint_calls import noise
from helpers.transformer_loras import flux_attention
from PIL import Image

from visuals.checkpoints import load
from visuals.checkpoints.lora.search import in_folders
from visuals.configs.errors import UsageError
from visuals.configs.generate import GenerateOptions, HiresSettings, VariationSettings
from visuals.configs.rerender import RerenderOptions
from visuals.configs.schema import load_settings
from visuals.pipeline.build import family_options
from visuals.pipeline.build.stages import build_stages, check_words
from visuals.pipeline.runner.run import run_shots
from visuals.stages.diffusion import control_maps, lora_adapters
from visuals.stages.diffusion.inpaint import Controlled, Inpainter
from visuals.stages.diffusion.lora_adapters import no_loras
from visuals.stages.families.known import family_of
from visuals.stages.generate import Generator
from visuals.stages.prompts.lora_tags import LoraTag
from visuals.stages.shot import Prompted, Shot

SMALL: dict[str, Any] = {"steps": 3, "width": 80, "height": 64, "sampler": "Euler"}


@pytest.fixture(scope="module")
def base(flux: Path) -> Any:
    return load.load_text_to_image(flux / "base")


def drawn(pipe: Any, *texts: str, **options: Any) -> list[np.ndarray]:
    init, find = options.pop("init_image", None), options.pop("find_lora", no_loras)
    drawing = GenerateOptions(**{**SMALL, **options})
    stage = Generator(pipe, drawing, init_image=init, find_lora=find)
    out = []
    for shot in stage([Shot(str(k), Prompted(t, "", k), ("mug",)) for k, t in enumerate(texts)]):
        assert shot.image is not None, shot.failure
        out.append(shot.image)
    return out


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def test_stage_1_draws_what_the_pipeline_of_diffusers_draws(base: Any) -> None:
    ours, other = drawn(base, "a red mug", "a blue [car:mug:0.5]", cfg_scale=3.5)
    with torch.inference_mode():
        (theirs,) = base(
            "a red mug", generator=torch.Generator().manual_seed(0), output_type="np",
            num_inference_steps=3, guidance_scale=3.5, width=80, height=64,
        ).images  # fmt: skip
    assert ours.shape == (64, 80, 3) and psnr(ours, theirs * 255) > 45
    assert np.abs(ours.astype(int) - drawn(base, "a red mug", cfg_scale=3.5)[0]).max() <= 2
    assert (other != drawn(base, "-", "a blue car", cfg_scale=3.5)[1]).any(), "nothing was edited"


def test_further_passes_begin_from_what_they_are_given(base: Any) -> None:
    (plain,) = drawn(base, "a red mug")
    for upscaler in ("latent", "lanczos"):
        hires = HiresSettings(scale=1.5, upscaler=upscaler, strength=0.5)  # type: ignore[arg-type]
        (large,) = drawn(base, "a red mug", hires=hires)
        assert large.shape == (96, 128, 3), upscaler  # multiples of 16: 120 → 128
    photo = noise(1, 96)
    kept, changed = (
        drawn(base, "a red mug", init_image=photo, prompt_strength=s)[0] for s in (0.4, 1.0)
    )
    assert kept.shape == plain.shape and (kept != changed).any()
    (same,) = drawn(base, "a red mug", variation=VariationSettings(seed=9, strength=0))
    (mixed,) = drawn(base, "a red mug", variation=VariationSettings(seed=9, strength=0.5))
    assert (same == plain).all() and (mixed != plain).any()


@pytest.mark.parametrize("count", [1, 2])
def test_stage_3_draws_what_the_pipeline_of_diffusers_draws(
    flux: Path, base: Any, count: int
) -> None:
    pipe = load.load_controlnet_inpaint(flux / "base", [flux / "controlnet"] * count, base=base)
    controls = [Controlled(control_maps.Canny(), 0.7), Controlled(control_maps.Tile(), 0.4)][:count]
    options = RerenderOptions(**{**SMALL, "strength": 0.7, "steps": 4, "cfg_scale": 3.5})
    inpainter = Inpainter(family_of(pipe), pipe, controls, options)
    images = [noise(k, 80)[:64] for k in range(2)]
    masks = [np.tri(64, 80, k) > 0 for k in range(2)]
    words = [("a red mug", ""), ("a blue mug", "")]
    with inpainter.ready():
        both, maps = inpainter(images, masks, words, seeds=[5, 6], strength=0.7)
        (alone,), _ = inpainter(images[:1], masks[:1], words[:1], seeds=[5], strength=0.7)
    maps_of_one = [c.control(images, masks)[0] for c in controls]
    shown = [Image.fromarray(np.rint(m * 255).astype(np.uint8)) for m in maps_of_one]
    modes = [None] * 2 if count > 1 else None
    scales = [c.conditioning_scale for c in controls]
    with torch.inference_mode():
        (theirs,) = pipe(
            "a red mug", image=Image.fromarray(images[0]), strength=0.7, num_inference_steps=4,
            mask_image=Image.fromarray(masks[0].astype(np.uint8) * 255), output_type="np",
            control_image=shown if count > 1 else shown[0], control_mode=modes,
            controlnet_conditioning_scale=scales if count > 1 else scales[0], guidance_scale=3.5,
            generator=torch.Generator().manual_seed(5), width=80, height=64,
        ).images  # fmt: skip
    inside = masks[0]
    assert psnr(alone.pixels[inside], (theirs * 255)[inside]) > 45
    assert psnr(both[0].pixels, alone.pixels) > 45
    assert maps[0].shape == (64, 80, 3) and psnr(both[0].pixels, both[1].pixels) < 45


def test_all_stages_run_and_keep_the_scene(mini: Path, flux: Path) -> None:
    settings = load_settings(
        "mini",
        {
            "generate.model": str(flux / "base"), "generate.sampler": "Euler",
            "generate.prompt": "a (red:1.2) {class}", "generate.steps": 2,
            "generate.lora_dirs": [], "generate.clip_skip": 1,
            "rerender.sampler": "Euler", "rerender.steps": 2, "rerender.prompt": "a blue {class}",
            "controls.canny.model": str(flux / "controlnet"), "rerender.cache_interval": 1,
            "detect.box_threshold": 0.0, "detect.text_threshold": 0.0, "verify.threshold": 0.0,
            "mask.mask_k": 1,
        },
    )  # fmt: skip
    check_words(settings)
    lines = list(family_options.unused(settings))
    needs = ("generate", "detect", "segment", "rerender")
    stages = build_stages(settings, needs, report=lines.append)
    (done,) = run_shots([Shot("s", Prompted("a red mug", "", 1), ("mug",))], stages)
    assert done.status == "enhanced", (done.failure, done.reason)
    assert done.image is not None and done.result is not None and done.blend is not None
    outside = done.blend == 0
    assert (done.result[outside] == done.image[outside]).all()
    assert (done.result != done.image).any()
    assert "generate.clip_skip is not used: FLUX.1 does not read CLIP's layers" in lines


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("generate.sampler", "DPM++ 2M", "has Euler, "),
        ("generate.width", 72, "expected a multiple of 16"),
        ("refiner.model", "sdxl-refiner", "refiner: an SDXL refiner"),
    ],
)
def test_options_that_it_lacks_are_refused_before_models_load(
    flux: Path, name: str, value: Any, why: str
) -> None:
    fits = {"generate.model": str(flux / "base"), "generate.sampler": "Euler"}
    changes = {**fits, "rerender.sampler": "Euler", name: value}
    with pytest.raises(UsageError, match=why):
        family_options.check(load_settings("mini", changes))


def test_loras_of_kohya_and_diffusers_act_alike_and_come_off(flux: Path, tmp_path: Path) -> None:
    pipe = load.load_text_to_image(flux / "base")
    attention = pipe.transformer.transformer_blocks[0].attn
    before = {name: getattr(attention, name).weight.clone() for name in ("to_q", "to_k", "to_v")}
    (plain,) = drawn(pipe, "a red mug")
    x, pictures = torch.randn(3, 32), []
    for form in ("kohya", "diffusers"):
        gains = flux_attention(tmp_path, form)
        find = in_folders([tmp_path])
        (picture,) = drawn(pipe, f"a red mug <lora:{form}:0.8>", find_lora=find)
        pictures.append(picture)
        lora_adapters.attach(pipe, [LoraTag(form, 0.8, 0.8)], find)
        for name, gain in gains.items():
            layer = getattr(attention, name)
            expected = x @ (before[name] + 0.8 * gain).T + layer.bias
            assert torch.allclose(layer(x), expected, atol=1e-4), (form, name)
    assert (pictures[0] != plain).any() and psnr(*pictures) > 45
    assert (drawn(pipe, "a red mug")[0] == plain).all()


def test_loras_of_others_are_refused_before_models_load(mini: Path, flux: Path) -> None:
    changes = {
        "generate.model": str(flux / "base"), "generate.sampler": "Euler",
        "rerender.sampler": "Euler", "generate.prompt": "a {class} <lora:ppzmini:0.6>",
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"'ppzmini' was trained for .*, but .* is Flux"):
        check_words(load_settings("mini", changes), needs=["generate"])


def test_controlnets_of_others_are_refused(mini: Path, flux: Path, base: Any) -> None:
    sd = load.load_text_to_image("mini/sd")
    for pipe, net, why in (
        (
            base,
            "mini/controlnet-canny",
            "is a ControlNet of Stable Diffusion; expected one of FLUX.1",
        ),
        (base, flux / "union", "with modes"),
        (sd, flux / "controlnet", "is a ControlNet of FLUX.1; expected one of Stable Diffusion"),
    ):
        with pytest.raises(UsageError, match=why):
            load.load_controlnet_inpaint("it", [net], base=pipe)
