"""LoRA files of FLUX.1 at its published size, on the meta device: every module of every block is
hit, whoever's names they have."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import save_file

from visuals.checkpoints.lora import file as lora_file
from visuals.checkpoints.lora import weights as lora_weights

WIDTH = 3072
DOUBLE = {
    f"{stream}_{name}": rows_columns
    for stream in ("img", "txt")
    for name, rows_columns in {
        "attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.0": (4, 1), "mlp.2": (1, 4),
        "mod.lin": (6, 1),
    }.items()
}  # fmt: skip
SINGLE = {"linear1": (7, 1), "linear2": (1, 5), "modulation.lin": (3, 1)}
"""Modules of a block in FLUX.1's original code, which sd-scripts (networks/lora_flux.py) adapts,
and how many times 3072 their rows and columns are."""


@pytest.fixture(scope="module")
def flux() -> Any:
    """What loading a LoRA asks of a FLUX.1."""
    with torch.device("meta"):
        model = diffusers.FluxTransformer2DModel(guidance_embeds=True)
    return SimpleNamespace(
        transformer=model, lora_state_dict=diffusers.FluxPipeline.lora_state_dict
    )


def layers(model: Any) -> set[str]:
    return {
        name
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and "transformer_blocks." in name
    }


def of_original_code(form: str) -> dict[str, torch.Tensor]:
    out = {}
    for kind, count, modules in (("double", 19, DOUBLE), ("single", 38, SINGLE)):
        for block in range(count):
            for module, (rows, columns) in modules.items():
                name = f"{kind}_blocks.{block}.{module}"
                halves = "lora_down", "lora_up"
                if form == "kohya":
                    stem = f"lora_unet_{name.replace('.', '_')}"
                else:  # ComfyUI's, and fal's of Kontext
                    stem = {"comfy": "diffusion_model.", "fal": "base_model.model."}[form] + name
                    halves = "lora_A", "lora_B"
                out[f"{stem}.{halves[0]}.weight"] = torch.ones(1, columns * WIDTH).half()
                out[f"{stem}.{halves[1]}.weight"] = torch.ones(rows * WIDTH, 1).half()
    return out


def of_onetrainer(model: Any) -> dict[str, torch.Tensor]:
    out = {}
    for name in layers(model):
        rows, columns = model.get_submodule(name).weight.shape
        stem = f"lora_transformer_{name.replace('.', '_')}"
        out[f"{stem}.lora_down.weight"] = torch.ones(1, columns).half()
        out[f"{stem}.lora_up.weight"] = torch.ones(rows, 1).half()
    return out


@pytest.mark.parametrize("form", ["kohya", "comfy", "fal", "onetrainer"])
def test_every_layer_of_flux_is_hit(flux: Any, tmp_path: Path, form: str) -> None:
    model = flux.transformer
    file = tmp_path / "file.safetensors"
    save_file(of_onetrainer(model) if form == "onetrainer" else of_original_code(form), file)
    read = lora_file.read(file)
    assert str(read.base) == "Flux" and not read.unread
    assert read.modules == {"transformer": sum(read.modules.values())}
    loaded = lora_weights.load(read, flux)
    for half in ("A", "B"):
        end = f".lora_{half}.weight"
        hit = {key.removeprefix("transformer.") for key in loaded if key.endswith(end)}
        assert {name.removesuffix(end) for name in hit} == layers(model)


def test_a_lora_of_another_model_with_names_alike_is_refused(tmp_path: Path) -> None:
    """HunyuanVideo's blocks are as wide as FLUX.1's, and have some of their names."""
    name = "diffusion_model.double_blocks.0.img_attn_qkv"
    file = tmp_path / "film.safetensors"
    save_file({f"{name}.lora_A.weight": torch.ones(1, WIDTH)}, file)
    with pytest.raises(lora_file.LoraFileError, match="one for HunyuanVideo"):
        lora_file.read(file)
