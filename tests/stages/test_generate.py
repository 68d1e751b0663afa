"""Stage 1 and 3 on small models of both families: SDXL, refiner, hires fix, pictures to begin
from, IP-Adapter, unions, and what becomes of not-a-number and of flagged pictures."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny, tiny_xl

from visuals.checkpoints import load
from visuals.configs.generate import GenerateOptions, HiresSettings
from visuals.configs.rerender import RerenderOptions
from visuals.stages.diffusion import control_maps
from visuals.stages.diffusion.inpaint import Controlled
from visuals.stages.diffusion.passes import Refiner, slerp, steps_for
from visuals.stages.generate import Generator
from visuals.stages.prompts.instance_prompts import InstancePrompts
from visuals.stages.rerender import Rerenderer
from visuals.stages.shot import Detection, FileInput, Prompted, Shot

SMALL: dict[str, Any] = {"steps": 4, "width": 64, "height": 64, "sampler": "Euler"}


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xl")
    tiny_xl.write(folder)
    return folder


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sd")
    tiny.write(folder)
    return folder


@pytest.fixture
def pipe(sd: Path) -> Any:
    """A small Stable Diffusion of its own for each test, which may break it."""
    return load.load_text_to_image(sd / "sd")


@pytest.fixture
def base(xl: Path) -> Any:
    return load.load_text_to_image(xl / "base")


def prompted(seed: int = 1) -> Shot:
    return Shot(id=f"s{seed}", source=Prompted("red mug", "", seed), classes=("mug",))


def masked() -> Shot:
    image = np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)
    mask = np.zeros((96, 96), bool)
    mask[30:70, 30:70] = True
    found = Detection((30, 30, 70, 70), 0.9, "mug", mask)
    source = FileInput("p.png", 5)
    return Shot(id="p", source=source, classes=("mug",), image=image, detections=(found,))


def drawn(generator: Generator, *shots: Shot) -> list[np.ndarray]:
    out = []
    for shot in generator(shots or [prompted()]):
        assert shot.status == "pending" and shot.image is not None, (shot.failure, shot.reason)
        out.append(shot.image)
    return out


def rerendered(pipe: Any, *controls: Controlled, **options: Any) -> Shot:
    references = options.pop("references", ())
    drawing = RerenderOptions(**SMALL, **options)
    prompts = InstancePrompts("blue {class}")
    (done,) = Rerenderer(pipe, controls, prompts, drawing, references=references)([masked()])
    return done


def test_sdxl_draws_and_a_picture_does_not_depend_on_its_batch(base: Any) -> None:
    both = drawn(Generator(base, GenerateOptions(batch_size=2, **SMALL)), prompted(1), prompted(2))
    alone = drawn(Generator(base, GenerateOptions(batch_size=1, **SMALL)), prompted(1), prompted(2))
    for a, b in zip(alone, both, strict=True):
        assert a.shape == (64, 64, 3) and np.abs(a.astype(int) - b).max() <= 2
    assert (alone[0] != alone[1]).any()


def test_our_decoding_is_the_pipelines_own(pipe: Any, base: Any) -> None:
    for one in (pipe, base):
        shot = Shot(id="s", source=Prompted("red mug", "blue", 1), classes=("mug",))
        (ours,) = drawn(Generator(one, GenerateOptions(cfg_scale=5.0, **SMALL)), shot)
        noise = [torch.Generator().manual_seed(1)]
        with torch.inference_mode():
            scheduler = Generator(one, GenerateOptions(**SMALL)).passes.scheduler
            own, one.scheduler = one.scheduler, scheduler
            out = one(
                prompt=["red mug"], negative_prompt=["blue"], generator=noise, output_type="np",
                num_inference_steps=4, guidance_scale=5.0, width=64, height=64,
            )  # fmt: skip
            one.scheduler = own
        assert (np.rint(out.images[0] * 255).astype(np.uint8) == ours).all()


def test_the_refiner_draws_the_last_steps(xl: Path, base: Any) -> None:
    refiner = load.load_refiner(xl / "refiner", base)
    assert refiner.vae is base.vae and refiner.text_encoder_2 is base.text_encoder_2
    asked: list[tuple[str, int]] = []
    for name, net in (("base", base.unet), ("refiner", refiner.unet)):
        net.register_forward_pre_hook(lambda m, a, n=name: asked.append((n, int(a[1]))))
    options = {**SMALL, "steps": 5}
    (alone,) = drawn(Generator(base, GenerateOptions(**options)))
    times = [t for _, t in asked]
    asked.clear()
    (refined,) = drawn(Generator(base, GenerateOptions(**options), refiner=Refiner(refiner, 0.6)))
    assert [n for n, _ in asked] == ["base"] * 3 + ["refiner"] * 2
    assert [t for _, t in asked] == times and (alone != refined).any()


def test_a_refiner_is_told_from_a_base(xl: Path, base: Any, pipe: Any) -> None:
    with pytest.raises(load.CheckpointError, match=r"for refiner\.model; expected a text"):
        load.load_text_to_image(xl / "refiner")
    with pytest.raises(load.CheckpointError, match="expected an SDXL refiner"):
        load.load_refiner(xl / "base", base)
    with pytest.raises(load.CheckpointError, match="needs an SDXL base"):
        load.load_refiner(xl / "refiner", pipe)


@pytest.mark.parametrize("upscaler", ["latent", "lanczos"])
def test_hires_fix_scales_up_and_runs_its_steps(pipe: Any, upscaler: Any) -> None:
    asked = []
    pipe.unet.register_forward_pre_hook(lambda m, a: asked.append(a[0].shape[-1]))
    hires = HiresSettings(scale=1.5, upscaler=upscaler, strength=0.5, steps=3)
    (image,) = drawn(Generator(pipe, GenerateOptions(hires=hires, **SMALL)))
    assert image.shape == (96, 96, 3)
    assert asked == [8] * 4 + [12] * 3


@pytest.mark.parametrize("sampler", ["Euler", "Euler a"])
def test_a_variation_lies_between_two_seeds(pipe: Any, base: Any, sampler: str) -> None:
    for model in (pipe, base):
        size = {"width": 64, "height": 72, "steps": 2, "sampler": sampler}
        (one, other) = drawn(Generator(model, GenerateOptions(**size)), prompted(1), prompted(2))
        for strength, same in ((0.0, one), (1.0, other), (0.5, None)):
            options = GenerateOptions(**size, variation={"seed": 2, "strength": strength})
            (varied, alike) = drawn(Generator(model, options), prompted(1), prompted(2))
            assert np.abs(alike.astype(int) - other).max() <= 1, "mixed with itself"
            if same is None:
                assert (varied != one).any() and (varied != other).any()
            elif sampler == "Euler" or strength == 0:  # else the noise of later steps is seed 1's
                assert np.abs(varied.astype(int) - same).max() <= 1


def test_noise_is_mixed_as_in_a1111() -> None:
    """By the formula of A1111's slerp, whose norms are over the height."""
    one, other = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(0)).double()
    found = slerp(one, other, 0.3)
    for channel in range(4):
        for column in range(8):
            a, b = one[channel, :, column], other[channel, :, column]
            angle = math.acos(float(a @ b / a.norm() / b.norm()))
            expected = (math.sin(0.7 * angle) * a + math.sin(0.3 * angle) * b) / math.sin(angle)
            assert torch.allclose(found[channel, :, column], expected)


@pytest.mark.parametrize(("run", "strength"), [(20, 0.7), (3, 0.6), (1, 0.05), (30, 1.0)])
def test_so_many_steps_are_run(run: int, strength: float) -> None:
    assert int(steps_for(run, strength) * strength) == run


def test_an_init_image_is_kept_as_far_as_the_prompt_strength_says(pipe: Any, base: Any) -> None:
    ramp = np.linspace(0, 255, 96, dtype=np.uint8)
    image = np.repeat(np.repeat(ramp[None, :, None], 48, 0), 3, 2)  # 96 × 48: the middle is taken
    for one in (pipe, base):
        little, much = (
            drawn(Generator(one, GenerateOptions(prompt_strength=s, **SMALL), init_image=image))[0]
            for s in (0.25, 1.0)
        )
        weak = GenerateOptions(prompt_strength=0.25, **SMALL)
        other = drawn(Generator(one, weak, init_image=255 - image))[0]
        assert little.shape == (64, 64, 3)
        assert (little != much).any() and (little != other).any()


def test_reference_pictures_steer_both_stages(pipe: Any, sd: Path, tmp_path: Path) -> None:
    control = Controlled(control_maps.Canny(60, 140))
    tiny_xl.write_ip_adapter(tmp_path, pipe.unet)
    load.attach_ip_adapter(
        pipe, tmp_path, subfolder="models", weight_name="ip-adapter.safetensors", scale=1.0
    )
    inpaint = load.load_controlnet_inpaint("", [sd / "controlnet-canny"], base=pipe)
    red, blue = (np.full((40, 50, 3), c, np.uint8) for c in ((250, 20, 20), (10, 20, 240)))
    pictures = [
        drawn(Generator(pipe, GenerateOptions(**SMALL), references=[r]), prompted(1), prompted(2))
        for r in (red, blue)
    ]
    assert (pictures[0][0] != pictures[1][0]).any()
    results = [rerendered(inpaint, control, references=[r]).result for r in (red, blue)]
    assert results[0] is not None and results[1] is not None and (results[0] != results[1]).any()


def test_another_vae_takes_the_place_of_the_models_own(xl: Path) -> None:
    pipe = load.load_text_to_image(xl / "base", vae=xl / "taesd")
    assert type(pipe.vae).__name__ == "AutoencoderTiny"
    assert drawn(Generator(pipe, GenerateOptions(**SMALL)))[0].shape == (64, 64, 3)
    with pytest.raises(load.CheckpointError, match="another kind of VAE"):
        load.load_text_to_image(xl / "base", vae=xl / "base" / "unet")


def test_a_fused_lora_acts_without_a_tag(sd: Path, pipe: Any) -> None:
    (before,) = drawn(Generator(pipe, GenerateOptions(**SMALL)))
    load.fuse_lora(pipe, sd / "loras", weight_name="ppzmini.safetensors", scale=1.0)
    (after,) = drawn(Generator(pipe, GenerateOptions(**SMALL)))
    assert (before != after).any()
    assert not getattr(pipe.unet, "peft_config", {})


def test_stage_3_by_sdxl_keeps_the_scene(xl: Path, base: Any) -> None:
    pipe = load.load_controlnet_inpaint("", [xl / "controlnet"], base=base)
    assert type(pipe).__name__ == "StableDiffusionXLControlNetInpaintPipeline"
    done = rerendered(pipe, Controlled(control_maps.Canny(60, 140)))
    assert done.status == "enhanced", done.failure
    assert done.metrics["changed_outside"] == 0


def test_a_union_controlnet_is_led_by_mode(xl: Path, base: Any) -> None:
    pipe = load.load_controlnet_inpaint("", [xl / "union", xl / "union"], base=base)
    assert type(pipe).__name__ == "StableDiffusionXLControlNetUnionInpaintPipeline"
    canny = control_maps.Canny(60, 140)
    results = []
    for controls in ([3], [1], [3, 1]):
        done = rerendered(pipe, *(Controlled(canny, mode=m) for m in controls))
        assert done.status == "enhanced", done.failure
        assert done.result is not None and done.metrics["changed_outside"] == 0
        results.append(done.result)
    # The task embedding is behind a layer of zeros in an untrained model: modes may agree.
    assert (results[0] != results[2]).any()


def test_a_union_is_told_by_its_weights(xl: Path, base: Any, tmp_path: Path) -> None:
    """Where config.json calls it a ControlNet."""
    shutil.copytree(xl / "union", tmp_path / "union")
    config = json.loads((tmp_path / "union" / "config.json").read_text())
    config |= {"_class_name": "ControlNetModel"}
    for name in ("num_control_type", "num_trans_channel", "num_proj_channel"):
        del config[name]
    (tmp_path / "union" / "config.json").write_text(json.dumps(config))
    pipes = [load.load_controlnet_inpaint("", [p / "union"], base=base) for p in (xl, tmp_path)]
    assert type(pipes[0]) is type(pipes[1])
    nets = [pipe.controlnet for pipe in pipes]
    assert {k: v for k, v in nets[0].config.items() if k[0] != "_"} == {
        k: v for k, v in nets[1].config.items() if k[0] != "_"
    }
    weights = nets[1].state_dict()
    assert all(torch.equal(weights[k], v) for k, v in nets[0].state_dict().items())


def test_controlnets_that_do_not_fit_are_refused(xl: Path, sd: Path, base: Any, pipe: Any) -> None:
    with pytest.raises(load.CheckpointError, match="made for another base"):
        load.load_controlnet_inpaint("", [sd / "controlnet-canny"], base=base)
    with pytest.raises(load.CheckpointError, match="excludes others"):
        load.load_controlnet_inpaint("", [xl / "union", xl / "controlnet"], base=base)


def _overflowing(pipe: Any) -> None:
    """A VAE whose decoder passes float16's 65,504 on its way, and comes back."""
    decoder = pipe.vae.decoder
    with torch.no_grad():
        decoder.conv_in.weight.mul_(3e5)
        decoder.conv_in.bias.mul_(3e5)
    pipe.to(torch.float16)


def test_a_vae_that_overflows_is_tried_in_float32_and_says_so(pipe: Any, sd: Path) -> None:
    inpaint = load.load_controlnet_inpaint("", [sd / "controlnet-canny"], base=pipe)
    (plain,) = Generator(pipe, GenerateOptions(**SMALL))([prompted()])
    assert "vae_upcast" not in plain.metrics
    _overflowing(pipe)
    (shot,) = Generator(pipe, GenerateOptions(**SMALL))([prompted()])
    assert shot.status == "pending" and shot.metrics["vae_upcast"] == 1, shot.failure
    assert pipe.vae.dtype == torch.float16
    inpaint.controlnet.to(torch.float16)
    done = rerendered(inpaint, Controlled(control_maps.Canny(60, 140)))
    assert done.status == "enhanced" and done.metrics["vae_upcast"] == 1, done.failure


def test_still_not_a_number_fails_with_a_sentence(pipe: Any) -> None:
    with torch.no_grad():
        pipe.vae.decoder.conv_out.bias.fill_(float("nan"))
    pipe.vae.to(torch.float16)
    (shot,) = Generator(pipe, GenerateOptions(**SMALL))([prompted()])
    assert shot.failure is not None and shot.failure.where == "generate"
    assert "the VAE gave not-a-number, in float32 also" in shot.failure.message
    with torch.no_grad():
        pipe.unet.conv_out.bias.fill_(float("nan"))
    (shot,) = Generator(pipe, GenerateOptions(**SMALL))([prompted()])
    assert shot.failure is not None and "the model gave not-a-number" in shot.failure.message


def _checker(flags: bool) -> dict[str, Any]:
    """A safety checker as Stable Diffusion's, untrained, that flags all or nothing."""
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    vision = {**small, "image_size": 32, "patch_size": 8}
    config = CLIPConfig(text_config=small, vision_config=vision, projection_dim=16)
    checker = StableDiffusionSafetyChecker(config)
    with torch.no_grad():
        checker.concept_embeds.normal_()
        checker.concept_embeds_weights.fill_(-2.0 if flags else 2.0)
        checker.special_care_embeds_weights.fill_(2.0)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return {"safety_checker": checker, "feature_extractor": images}


@pytest.mark.parametrize("flags", [False, True])
def test_flagged_pictures_are_outcomes_in_both_stages(pipe: Any, sd: Path, flags: bool) -> None:
    pipe.register_modules(**_checker(flags))
    inpaint = load.load_controlnet_inpaint("", [sd / "controlnet-canny"], base=pipe)
    (shot,) = Generator(pipe, GenerateOptions(**SMALL))([prompted()])
    done = rerendered(inpaint, Controlled(control_maps.Canny(60, 140)), min_structure=1.0)
    if flags:
        for one in (shot, done):
            assert one.status == "skipped" and one.reason is not None
            assert one.reason.code == "flagged" and one.result is None
        assert shot.image is None
    else:
        assert shot.status == "pending" and done.status == "enhanced", (shot, done)
