"""Weights of transformers stored in 8 and 4 bits: bytes, pictures, LoRAs, on a small FLUX.1."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_flux
from safetensors.torch import save_file

from visuals.checkpoints import load, stored_weights
from visuals.checkpoints.lora.search import in_folders
from visuals.configs.errors import MissingDependencyError
from visuals.configs.generate import GenerateOptions
from visuals.configs.schema import load_settings
from visuals.pipeline.build.devices import weight_storage
from visuals.pipeline.build.stages import build_stages
from visuals.stages.diffusion.lora_adapters import no_loras
from visuals.stages.generate import Generator
from visuals.stages.shot import Prompted, Shot

LACKS = find_spec("bitsandbytes") is None
BITS = [
    pytest.param("fp8", 30),
    pytest.param("4bit", 22, marks=pytest.mark.skipif(LACKS, reason="no bitsandbytes here")),
]


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flux")
    tiny_flux.write(folder)
    return folder


def drawn(pipe: Any, text: str, find_lora: Any = no_loras, fuse: bool = False) -> np.ndarray:
    options = GenerateOptions(
        steps=3, width=80, height=64, sampler="Euler", cfg_scale=3.5, fuse_loras=fuse
    )
    stage = Generator(pipe, options, find_lora=find_lora)
    (shot,) = stage([Shot("s", Prompted(text, "", 1), ("mug",))])
    assert shot.image is not None, shot.failure
    return shot.image


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def bytes_of(model: Any) -> int:
    """What a model's weights take, with the scales of bitsandbytes."""
    out = sum(p.nbytes for p in model.parameters())
    for p in model.parameters():
        state = getattr(p, "quant_state", None)
        if state is not None:
            out += state.absmax.nbytes + (state.state2.absmax.nbytes if state.nested else 0)
    return out


@pytest.mark.parametrize(("weights", "least"), BITS)
def test_pictures_stay_alike_and_bytes_are_as_computed(
    flux: Path, weights: Any, least: float
) -> None:
    kind = torch.bfloat16
    plain = load.load_text_to_image(flux / "base", dtype=kind)
    small = load.load_text_to_image(flux / "base", dtype=kind, weights=weights)
    picture = drawn(small, "a red mug")
    assert psnr(picture, drawn(plain, "a red mug")) > least
    for name in ("transformer", "text_encoder", "text_encoder_2"):
        computed = stored_weights.size(getattr(plain, name), weights)
        assert abs(bytes_of(getattr(small, name)) - computed) <= 0.02 * computed, name
        usual = bytes_of(getattr(plain, name))
        assert (computed < 0.8 * usual) is (name != "text_encoder"), "CLIP stays as it is"
    assert (drawn(small, "a red mug") == picture).all(), "a call leaves the weights as they were"


@pytest.mark.parametrize(("weights", "least"), BITS)
@pytest.mark.parametrize("fuse", [False, True])
def test_loras_act_beside_them_and_come_off(
    flux: Path, tmp_path: Path, weights: Any, least: float, fuse: bool
) -> None:
    gen = torch.Generator().manual_seed(3)
    stem = "transformer.single_transformer_blocks.0.attn.to_v"
    halves = {
        f"{stem}.lora_A.weight": 3 * torch.randn(2, 32, generator=gen),
        f"{stem}.lora_B.weight": 3 * torch.randn(32, 2, generator=gen),
    }
    save_file(halves, tmp_path / "look.safetensors")
    find, text, pictures = in_folders([tmp_path]), "a red mug <lora:look:1>", []
    for kind in ("full", weights):
        pipe = load.load_text_to_image(flux / "base", dtype=torch.bfloat16, weights=kind)
        before = drawn(pipe, "a red mug")
        pictures.append(drawn(pipe, text, find, fuse))
        assert psnr(pictures[-1], before) < 40, "the LoRA does nothing"
        assert (drawn(pipe, "a red mug") == before).all()
    assert psnr(*pictures) > least


def test_without_bitsandbytes_4_bits_are_a_sentence(
    flux: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'product-visuals\[quantize\]'"):
        load.load_text_to_image(flux / "base", weights="4bit")


def test_low_memory_stores_in_8_bits_in_stages_1_and_3(mini: Path, flux: Path) -> None:
    changes = {
        "generate.model": str(flux / "base"), "generate.sampler": "Euler",
        "rerender.sampler": "Euler", "controls.canny.model": str(flux / "controlnet"),
        "run.low_memory": True, "run.dtype": "bfloat16",
    }  # fmt: skip
    settings = load_settings("mini", changes)
    assert weight_storage(settings) == "fp8" and weight_storage(load_settings("mini")) == "full"
    stages: Any = build_stages(settings, ("generate", "rerender"), late=False)
    pipe = stages.rerender.default.pipe
    for model in (pipe.transformer, pipe.controlnet, pipe.text_encoder_2):
        kinds = {layer.weight.dtype for _, layer in stored_weights.block_layers(model)}
        assert kinds == {torch.float8_e4m3fn}, type(model)
    assert pipe.transformer.dtype == pipe.text_encoder_2.dtype == torch.bfloat16
    sd = build_stages(load_settings("mini", {"run.weights": "fp8"}), ("generate",))
    floats = {p.dtype for p in sd.generate.default.pipe.unet.parameters()}  # type: ignore[union-attr]
    assert floats == {torch.float32}, "a UNet stays as it is"
