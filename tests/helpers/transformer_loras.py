"""LoRA files for every linear layer of a transformer's blocks, in the names of several trainers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from visuals.checkpoints.lora.search import in_folders
from visuals.stages.diffusion import lora_adapters
from visuals.stages.prompts.lora_tags import LoraTag

Weights = dict[str, torch.Tensor]
RANK, ALPHA = 2, 1.0


def matrices(model: Any, roots: str, fused: Mapping[str, str] | None = None) -> Weights:
    """Random A (rank, in) and B (out, rank) by "module.A" and "module.B" for the linear layers of
    modules that match `roots`. `fused`: a layer's name → the one that it shares A with."""
    draw, out = torch.Generator().manual_seed(3), {}
    firsts: Weights = {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and re.match(roots, name):
            rows, columns = layer.weight.shape
            first = re.sub(r"[^.]+$", lambda m: (fused or {}).get(m[0], m[0]), name)
            if first not in firsts:
                firsts[first] = torch.randn(RANK, columns, generator=draw)
            out[f"{name}.A"] = firsts[first]
            out[f"{name}.B"] = torch.randn(rows, RANK, generator=draw)
    return out


def diffusers(weights: Weights, prefix: str = "transformer.") -> Weights:
    """Names of diffusers and, with another prefix, of ai-toolkit; alpha is in B."""
    named = {}
    for name, value in weights.items():
        module, _, letter = name.rpartition(".")
        scaled = value * ALPHA / RANK if letter == "B" else value.clone()
        named[f"{prefix}{module}.lora_{letter}.weight"] = scaled
    return named


def kohya(weights: Weights, rename: Callable[[str], str] = lambda module: module) -> Weights:
    """kohya's names of modules that are named as in the original code."""
    named = {}
    for name, value in weights.items():
        module, _, letter = name.rpartition(".")
        stem = f"lora_unet_{rename(module).replace('.', '_')}"
        half = {"A": "down", "B": "up"}[letter]
        named[f"{stem}.lora_{half}.weight"] = value.clone()
        named[f"{stem}.alpha"] = torch.tensor(ALPHA)
    return named


def wrapped(weights: Weights) -> dict[str, Weights]:
    """Names of diffusers' modules as other trainers write them: bare (DiffSynth, diffusers' own
    `save_lora_adapter`), with kohya's halves and alphas (lightx2v/Qwen-Image-Lightning), behind
    PEFT's wrapper, and OneTrainer's."""
    lightning = {}
    for key, value in kohya(weights, lambda module: module.replace(".", "/")).items():
        module, _, rest = key.partition(".")
        name = module.removeprefix("lora_unet_").replace("/", ".")
        lightning[f"{name}.{rest}"] = value
    return {
        "bare": diffusers(weights, ""),
        "default": {
            key.replace(".weight", ".default.weight"): value
            for key, value in diffusers(weights, "").items()
        },
        "lightning": lightning,
        "peft": diffusers(weights, "base_model.model."),
        "onetrainer": {
            key.replace("lora_unet_", "lora_transformer_"): value
            for key, value in kohya(weights).items()
        },
    }


def acts(pipe: Any, weights: Weights, files: Mapping[str, Weights], folder: Path) -> None:
    """Assert that each file, at weight 0.8, adds 0.8 · alpha / rank · B A to every layer."""
    layers = [name.removesuffix(".A") for name in weights if name.endswith(".A")]
    before = {name: pipe.transformer.get_submodule(name).weight.clone() for name in layers}
    for form, named in files.items():
        save_file({k: v.contiguous() for k, v in named.items()}, folder / f"{form}.safetensors")
        lora_adapters.attach(pipe, [LoraTag(form, 0.8, 0.8)], in_folders([folder]))
        for name in layers:
            layer = pipe.transformer.get_submodule(name)
            x = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(1))
            gain = 0.8 * ALPHA / RANK * weights[f"{name}.B"] @ weights[f"{name}.A"]
            expected = torch.nn.functional.linear(x, before[name] + gain, layer.bias)
            assert torch.allclose(layer(x), expected, atol=1e-3), (form, name)
    lora_adapters.attach(pipe, [], in_folders([folder]))


def flux_attention(folder: Path, form: str) -> dict[str, torch.Tensor]:
    """Write a LoRA of rank 2 for the picture attention of a small FLUX.1's first block, by kohya's
    names (sd-scripts, networks/lora_flux.py) or diffusers'; returns what each projection gains."""
    gen = torch.Generator().manual_seed(3)
    down = torch.randn(2, 32, generator=gen)
    ups = {name: torch.randn(32, 2, generator=gen) for name in ("to_q", "to_k", "to_v")}
    out = {}
    if form == "kohya":
        stem = "lora_unet_double_blocks_0_img_attn_qkv"
        out = {f"{stem}.lora_down.weight": down, f"{stem}.alpha": torch.tensor(1.0)}
        out[f"{stem}.lora_up.weight"] = torch.cat(list(ups.values()))
    else:
        for name, up in ups.items():
            stem = f"transformer.transformer_blocks.0.attn.{name}"
            out |= {f"{stem}.lora_A.weight": down.clone(), f"{stem}.lora_B.weight": up / 2}
        stem = "transformer.single_transformer_blocks.0.attn.to_q"
        out |= {f"{stem}.lora_A.weight": down.clone(), f"{stem}.lora_B.weight": torch.zeros(32, 2)}
    save_file(out, folder / f"{form}.safetensors")
    return {name: 0.5 * up @ down for name, up in ups.items()}
