"""`visuals config validate`, the presets, and what stage 1's options say before models load."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from diffusers import ControlNetUnionModel
from helpers.command_line import visuals
from PIL import Image
from safetensors.numpy import save_file

from visuals.configs.schema import SettingsError, load_settings, presets
from visuals.pipeline.build import control_maps, text_to_image
from visuals.stages.diffusion import samplers


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_fine(name: str, mini: Path) -> None:
    result = visuals("config", "validate", name)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{name}: no problems found\n"


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, mini: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: mini\n"
        "generate: {stepz: 3, sampler: Euler A, hires: {scale: 9}}\n"
        "rerender: {strength: 1.5, sampler: DPM++ 2M Caras}\n"
        "refiner: {modell: x}\n"
    )
    result = visuals("config", "validate", str(path))
    assert result.exit_code == 2 and result.stdout == ""
    said = result.stderr.splitlines()
    for part in (
        "'generate.stepz'; did you mean 'steps'?",
        "generate.sampler: unknown sampler 'Euler A'; did you mean 'Euler a'?",
        "rerender.sampler: unknown sampler 'DPM++ 2M Caras'; did you mean 'DPM++ 2M Karras'?",
        "generate.hires.scale 9",
        "rerender.strength 1.5",
        "'refiner.modell'; did you mean 'model'?",
        "refiner.model is missing",
    ):
        assert sum(part in line for line in said) == 1, (part, said)
    assert len(said) == 7


def test_what_only_the_disk_knows_is_said_together(tmp_path: Path, mini: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: mini\n"
        'generate: {prompt: "{class}, <lora:nowhere:1>", init_image: gone.png, vae: no-such-vae}\n'
    )
    said = visuals("config", "validate", str(path)).stderr
    assert "no LoRA 'nowhere'" in said and "gone.png: no such file" in said
    assert "unknown model 'no-such-vae'" in said


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("rerender: {model: no-such-model}", "unknown model 'no-such-model'"),
        ("rerender: {method: edit, model: mini/sd}", "for generate.model; expected an edit model"),
        ("rerender: {method: inpaint}", "rerender.model is not set; expected an inpainting"),
        ("generate: {model: flux-dev, sampler: Euler, prompt: mug}\n"
         "rerender: {model: mini/sd, width: 100}",
         "rerender.width 100: expected a multiple of 8, as mini/sd draws"),
        ("generate: {model: mini/controlnet-canny, sampler: Heun, prompt: mug}\n"
         "rerender: {model: mini/sd}",
         "it is a ControlNet, for controls.NAME.model; expected a text-to-image model"),
        ("refiner: {model: mini/sd}", "for generate.model; expected an SDXL refiner"),
    ],
)  # fmt: skip
def test_models_are_held_against_their_stages(
    lines: str, expected: str, tmp_path: Path, mini: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"base: mini\n{lines}\n")
    (line,) = visuals("config", "validate", str(path)).stderr.splitlines()
    assert expected in line


def test_all_that_does_not_fit_the_models_is_said_at_once(tmp_path: Path, mini: Path) -> None:
    """Two models with their samplers and sizes, and the LoRAs of stage 3."""
    layer = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    halves = {"down": (2, 2048), "up": (8, 2)}
    save_file(
        {f"{layer}.lora_{half}.weight": np.zeros(shape) for half, shape in halves.items()},
        tmp_path / "large.safetensors",
    )
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: mini\n"
        "generate: {model: flux-dev, sampler: Heun, width: 100, prompt: mug, "
        f"lora_dirs: ['{tmp_path}']}}\n"
        "rerender: {model: mini/sd, height: 100, prompt: '{class} <lora:large:1>'}\n"
        "classes: {mug: {edit: 'red <lora:large:1> <lora:nowhere:1>'}}\n"
    )
    said = visuals("config", "validate", str(path)).stderr.splitlines()
    for part in (
        "generate.sampler 'Heun': flux-dev has",
        "generate.width 100: expected a multiple of 16",
        "rerender.height 100: expected a multiple of 8",
        "'large' was trained for SDXL, but rerender.model 'mini/sd' is",
        "no LoRA 'nowhere'",
    ):
        assert sum(part in line for line in said) == 1, (part, said)
    assert len(said) == 5


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = visuals("config", "validate", "nowhere.yaml")
    assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--init-image", "gone.png", "gone.png: no such file"),
        ("--prompt-strength", "1.4", "prompt_strength 1.4"),
        ("--reference", "gone.png", "gone.png: no such file"),
        ("--set", "generate.sampler=Eular", "did you mean 'Euler'"),
        ("--set", "generate.base_loras=[{modl: x}]", "did you mean 'model'"),
        ("--set", "generate.ip_adapter.weight_name=x.bin", "generate.ip_adapter.weight_name"),
    ],
)
def test_stage_1s_options_are_checked_first(
    option: str, value: str, said: str, mini: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = visuals("generate", "--class", "mug", option, value, "--out", str(out))
    assert result.exit_code == 2, result.output
    assert said in result.stderr and not out.exists()


def test_the_presets_are_what_their_names_say() -> None:
    method = load_settings("sd15")
    for part in (method.generate, method.rerender):
        assert (part.sampler, part.steps, part.cfg_scale) == ("DPM++ 2M Karras", 30, 7.0)
        assert (part.width, part.height) == (512, 512)
    r = method.rerender
    assert (r.controls, r.strength, r.mask_blur, r.padding) == (("depth",), 0.75, 4, 32)
    assert (load_settings("roads").generate.width, load_settings("roads").generate.height) == (
        1280,
        720,
    )
    refined = load_settings("sdxl-refined").refiner
    assert refined is not None and refined.high_noise_frac == 0.8
    for name in ("sd15-fast", "sdxl-fast"):
        fast = load_settings(name)
        assert fast.generate.steps <= 8 and fast.generate.base_loras
        assert fast.generate.sampler in samplers.NAMES
    assert "madebyollin/sdxl-vae-fp16-fix" in text_to_image.refs(load_settings("sdxl"))


def test_every_kind_of_map_has_a_mode_and_a_union_without_it_says_so() -> None:
    settings = load_settings("mini", {"rerender.controls": ["depth"]})
    kinds = type(settings.leading[0]).model_fields["kind"].annotation
    assert set(control_maps.MODES) == set(kinds.__args__)  # type: ignore[union-attr]

    net = ControlNetUnionModel(
        block_out_channels=(16, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        norm_num_groups=8,
        layers_per_block=1,
        num_trans_channel=16,
        num_proj_channel=16,
        num_control_type=6,
        addition_time_embed_dim=8,
    )
    pipe = SimpleNamespace(controlnet=net)
    control_maps.check_modes(pipe, settings)
    tiled = load_settings(
        "mini", {"controls.tile": {"kind": "tile", "model": "u"}, "rerender.controls": ["tile"]}
    )
    with pytest.raises(control_maps.UnknownControlModeError, match="u takes no tile map"):
        control_maps.check_modes(pipe, tiled)


def test_options_of_stage_1_reach_the_pictures(mini: Path, tmp_path: Path) -> None:
    """`generate` begins from a picture, scales up, and the run folder holds what was asked."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "first.png")
    out = tmp_path / "out"
    result = visuals(
        "generate", "--class", "mug", "--count", "1", "--out", str(out), "--init-image",
        str(tmp_path / "first.png"), "--prompt-strength", "0.5", "--set", "generate.steps=2",
        "--set", "generate.width=64", "--set", "generate.height=64", "--set",
        "generate.hires={scale: 1.5, strength: 0.5, steps: 1}",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (picture,) = (out / "images").glob("*.png")
    with Image.open(picture) as image:
        assert image.size == (96, 96)
    assert "prompt_strength: 0.5" in (out / "run.yaml").read_text()


def test_unknown_keys_of_the_new_sections_name_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"'generate\.hires\.scal'; did you mean 'scale'"):
        load_settings("mini", {"generate.hires.scal": 2})
