"""FLUX.1 Fill in stage 3 on small random models, against diffusers' own pipeline."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.command_line import checked
from helpers.family_runs import (
    IMAGES,
    MASKS,
    all_stages,
    as_image,
    call,
    psnr,
    redrawn,
    refused_settings,
    seeded,
)
from helpers.small_trainings import PHOTOS
from helpers.transformer_loras import flux_attention
from safetensors.torch import load_file, save_file

from visuals.checkpoints import load, redrawing_models
from visuals.checkpoints.identify.base_family import pipeline_class
from visuals.checkpoints.lora.search import in_folders
from visuals.configs.errors import UsageError
from visuals.stages.diffusion import lora_adapters
from visuals.stages.diffusion.lora_adapters import no_loras
from visuals.stages.prompts.lora_tags import LoraTag


@pytest.fixture(scope="module")
def fill(flux: Path) -> Any:
    return redrawing_models.load_redrawing_model(flux / "fill", "inpaint")


@pytest.mark.parametrize("strength", [0.7, 1.0])
def test_it_draws_what_the_pipeline_of_diffusers_draws(fill: Any, strength: float) -> None:
    texts = "a (red:1.2) mug", "a blue mug"
    both = redrawn(fill, (), *texts, strength=strength, cfg_scale=30)
    (alone,) = redrawn(fill, (), texts[0], strength=strength, cfg_scale=30)
    theirs = call(
        fill, prompt="a red mug", image=as_image(IMAGES[0]), mask_image=as_image(MASKS[0]),
        strength=strength, num_inference_steps=4, guidance_scale=30.0, generator=seeded(5),
    )  # fmt: skip
    inside = MASKS[0]
    assert psnr(alone.pixels[inside], theirs[inside]) > 45
    assert psnr(both[0].pixels, alone.pixels) > 45
    assert psnr(both[0].pixels, both[1].pixels) < 45


@pytest.mark.parametrize("drawn_by", ["FLUX.1", "the embedded model"])
def test_all_stages_run_and_keep_the_scene(mini: Path, flux: Path, drawn_by: str) -> None:
    base: Any = flux / "base" if drawn_by == "FLUX.1" else "mini/sd"
    own = {"rerender.model": str(flux / "fill"), "generate.clip_skip": None}
    done, lines = all_stages("flux-fill", base, flux / "controlnet", **own)
    assert done.control is None and done.metrics["changed_outside"] == 0
    assert f"loading {flux / 'fill'}" in lines
    assert not any(str(flux / "controlnet") in line for line in lines)


def test_a_lora_in_kohya_s_names_acts_and_comes_off(fill: Any, tmp_path: Path) -> None:
    flux_attention(tmp_path, "kohya")
    (plain,) = redrawn(fill, (), "a mug")
    lora_adapters.attach(fill, [LoraTag("kohya", 1.0, 1.0)], in_folders([tmp_path]))
    (looks,) = redrawn(fill, (), "a mug")
    lora_adapters.attach(fill, [], no_loras)
    (again,) = redrawn(fill, (), "a mug")
    assert (looks.pixels != plain.pixels).any() and (again.pixels == plain.pixels).all()


def embedder_lora(path: Path, inputs: int, width: int = 32) -> None:
    """A LoRA of the layer that takes the picture in; that of a layer of the blocks is zero."""
    draw = torch.Generator().manual_seed(3)
    inner = "single_transformer_blocks.0.attn.to_q"
    weights = {
        "transformer.x_embedder.lora_A.weight": torch.randn(2, inputs, generator=draw),
        "transformer.x_embedder.lora_B.weight": torch.randn(32, 2, generator=draw),
        f"transformer.{inner}.lora_A.weight": torch.randn(2, width, generator=draw),
        f"transformer.{inner}.lora_B.weight": torch.zeros(width, 2),
    }
    save_file(weights, path)


def test_a_lora_of_flux_s_first_layer_acts_on_the_channels_that_it_knows(
    fill: Any, tmp_path: Path
) -> None:
    embedder_lora(tmp_path / "first.safetensors", 16)
    weights = load_file(tmp_path / "first.safetensors")
    gain = (weights[f"transformer.x_embedder.lora_{half}.weight"] for half in "BA")
    layer = fill.transformer.x_embedder
    x = torch.randn(3, layer.in_features)
    expected = layer(x) + x[:, :16] @ torch.linalg.multi_dot(tuple(gain)).T
    lora_adapters.attach(fill, [LoraTag("first", 1.0, 1.0)], in_folders([tmp_path]))
    assert torch.allclose(fill.transformer.x_embedder(x), expected, atol=1e-4)
    lora_adapters.attach(fill, [], no_loras)


@pytest.mark.parametrize(
    ("inputs", "width", "why"),
    [
        (
            288,
            32,
            r"for Flux \(288 input channels\), but generate.model '.*base' is Flux \(16 input",
        ),
        (16, 48, r"for Flux \(48 wide\), but generate.model '.*base' is Flux \(32 wide\): name"),
    ],
)
def test_a_lora_of_another_size_is_refused_before_models_load(
    mini: Path, flux: Path, tmp_path: Path, inputs: int, width: int, why: str
) -> None:
    embedder_lora(tmp_path / "other.safetensors", inputs, width)
    words = ("--prompt", "a {class} <lora:other:1>", "--lora-dir", tmp_path)
    changes = {"generate.model": "base", "controls.canny.model": "controlnet"}
    line = refused_settings(flux, changes, *words, "--out", tmp_path / "run")
    assert re.search(why, line), line


def test_it_is_known_by_its_transformer_s_channels(flux: Path, tmp_path: Path) -> None:
    """Whatever its model_index.json calls it."""
    folder = tmp_path / "other"
    shutil.copytree(flux / "fill", folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": "FluxPipeline"}))
    assert pipeline_class(folder) == "FluxFillPipeline"
    assert pipeline_class(flux / "base") == "FluxPipeline"
    pipe = redrawing_models.load_redrawing_model(folder, "inpaint")
    assert type(pipe).__name__ == "FluxFillPipeline"
    with pytest.raises(UsageError, match=r"for rerender\.method inpaint .*names FluxPipeline\)"):
        load.load_text_to_image(folder)
    assert "copy-of-fill: " in (
        line := checked("checkpoints", "add", "copy-of-fill", folder).stdout
    )
    assert "(inpaint)" in line


def index_of(model: Path, place: Path, name: str, part: str, **channels: int) -> Path:
    """The index and a component's configuration of a model, with another class and channels."""
    config = json.loads((model / part / "config.json").read_text())
    (place / part).mkdir(parents=True)
    (place / part / "config.json").write_text(json.dumps({**config, **channels}))
    index = json.loads((model / "model_index.json").read_text())
    (place / "model_index.json").write_text(json.dumps({**index, "_class_name": name}))
    return place


@pytest.mark.parametrize(
    ("family", "name", "channels", "why"),
    [
        ("FLUX.1", "FluxFillPipeline", 16,
         "a text-to-image model, for generate.model (by the channels of its weights; its "
         "model_index.json names FluxFillPipeline); expected an inpainting model"),
        ("FLUX.1", "FluxPipeline", 32, "a model of another kind, Flux Control, which is not"),
        ("SD", "StableDiffusionInpaintPipeline", 4, "only FLUX.1 Fill"),
        ("SD", "StableDiffusionPipeline", 9, "only FLUX.1 Fill"),
        ("SD", "StableDiffusionXLInpaintPipeline", 9, "only FLUX.1 Fill"),
    ],
)  # fmt: skip
def test_what_a_model_s_index_and_channels_say_is_told_before_anything_is_read(
    mini: Path, flux: Path, tmp_path: Path, family: str, name: str, channels: int, why: str
) -> None:
    """By the command and by what loads a model; the folders hold no weights."""
    of_flux = flux / "base", "transformer", 16
    model, part, latents = of_flux if family == "FLUX.1" else (mini / "sd", "unet", 4)
    index_of(model, tmp_path / "odd", name, part, in_channels=channels, out_channels=latents)
    changes = {"rerender.model": "odd", "rerender.method": "inpaint", "rerender.controls": "[]"}
    line = refused_settings(tmp_path, changes, "--edit", "red", "--out", tmp_path / "run")
    assert line.startswith("visuals: rerender.model ") and why in line, line
    with pytest.raises(UsageError, match=re.escape(why)):
        redrawing_models.load_redrawing_model(tmp_path / "odd", "inpaint")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"generate.model": "fill", "generate.sampler": "Heun"},
         "fill: it is an inpainting model, for rerender.method inpaint; expected a text-to-image"),
        ({"rerender.model": "fill", "rerender.width": "72"},
         "is an inpainting model, for rerender.method inpaint; expected a text-to-image model"),
        ({"rerender.method": "inpaint"}, "rerender.model is not set; expected an inpainting"),
        ({"rerender.method": "inpaint", "rerender.model": "base"},
         "base: it is a text-to-image model, for generate.model; expected an inpainting model, "
         "such as black-forest-labs/FLUX.1-Fill-dev; set rerender.model"),
        ({"rerender.method": "edit", "rerender.model": "fill"},
         "an inpainting model, for rerender.method inpaint; expected an edit model"),
        ({"rerender.model": "controlnet"},
         "it is a ControlNet, for controls.NAME.model; expected a text-to-image model"),
        ({"rerender.method": "inpaint", "rerender.model": "controlnet"},
         "it is a ControlNet, for controls.NAME.model; expected an inpainting model"),
        ({"controls.canny.model": "base", "rerender.controls": "[canny]"},
         "it is a text-to-image model, for generate.model; expected a ControlNet"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(
    mini: Path, flux: Path, tmp_path: Path, changes: dict[str, str], why: str
) -> None:
    assert why in refused_settings(flux, changes, "--edit", "red", "--out", tmp_path / "run")


def test_a_lora_need_not_fit_the_model_of_a_stage_that_does_not_run(
    mini: Path, flux: Path, tmp_path: Path
) -> None:
    """In a prompt and in a prompt table."""
    changes = {
        "rerender.method": "inpaint", "rerender.model": str(flux / "fill"),
        "rerender.sampler": "Euler",
    }  # fmt: skip
    words = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    drawn = "a {class} <lora:ppzmini:1>"
    (tmp_path / "table.csv").write_text(f"class,prompt\nmug,{drawn}\n")
    first = ("generate", "--count", 1, "--dry-run", *words)
    checked(*first, "--class", "mug", "--prompt", drawn)
    checked(*first, "--prompt-file", tmp_path / "table.csv")
    flux_attention(tmp_path, "kohya")
    redrawn = ("--set", f"generate.lora_dirs=[{tmp_path}]", "--prompt", "a {class} <lora:kohya:1>")
    checked("enhance", PHOTOS / "04-teal-mug.jpg", "--class", "mug", "--dry-run", *words, *redrawn)
