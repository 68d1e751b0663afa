"""Random weights in the published configurations of SD 1.5 and SDXL, in a cache folder laid out as
the Hugging Face hub does: what the presets name loads from it, offline, at its real size.

Weights are bfloat16. Of each, the first rows are random and the others zeros, which are holes in
the file: gigabytes are read, and few are written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

COMMIT = "0" * 40
FAMILIES = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "sd15",
    "stabilityai/stable-diffusion-xl-base-1.0": "sdxl",
    "stabilityai/stable-diffusion-xl-refiner-1.0": "sdxl-refiner",
}
VAES = {"madebyollin/sdxl-vae-fp16-fix"}
LORAS = {"latent-consistency/lcm-lora-sdv1-5": "sd15", "ByteDance/SDXL-Lightning": "sdxl"}
GIBIBYTES = {"sd15": 4, "sdxl": 9, "sdxl-refiner": 1}
"""What a family takes in bfloat16 while it loads and draws; SD 1.5 took 2.8, SDXL 7.3 at most. The
refiner's weights are mapped from their file: base and refiner ran within 10 with it."""


def snapshot(cache: Path, repository: str) -> Path:
    """The folder of a repository's files; the hub's library finds it by refs/main."""
    place = cache / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(COMMIT)
    folder = place / "snapshots" / COMMIT
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(cache: Path, repositories: Iterable[str], weight_names: dict[str, str]) -> None:
    """The repositories, each with random weights; `weight_names`: of those that hold a LoRA."""
    from visuals.checkpoints import reference_configs

    for repository in repositories:
        folder = snapshot(cache, repository)
        if repository in FAMILIES:
            family = FAMILIES[repository]
            reference_configs.write(family, folder)
            for name, config in reference_configs.components(family).items():
                if name != "scheduler":
                    _component(folder / name, config)
        elif repository in VAES:
            config = {**reference_configs.components("sdxl")["vae"], "force_upcast": False}
            (folder / "config.json").write_text(json.dumps(config))
            _component(folder, config)
        elif repository in LORAS:
            _lora(folder / weight_names[repository])
        else:
            raise KeyError(f"{repository}: not among the repositories that can be made up")


def _component(folder: Path, config: dict[str, Any]) -> None:
    """The weight file of one model, in its own configuration."""
    import diffusers
    import torch
    import transformers

    with torch.device("meta"):
        if "architectures" in config:
            kind = getattr(transformers, config["architectures"][0])
            model = kind(transformers.CLIPTextConfig.from_pretrained(folder))
            name = "model.safetensors"
        else:
            model = getattr(diffusers, config["_class_name"]).from_config(config)
            name = "diffusion_pytorch_model.safetensors"
    _save({name: tuple(value.shape) for name, value in model.state_dict().items()}, folder / name)


def _save(shapes: dict[str, tuple[int, ...]], path: Path) -> None:
    """A safetensors file of these tensors: norms are ones, biases zeros; of the rest the first
    quarter of a million numbers are noise of variance 1 / (4 · inputs)."""
    import torch

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    pool = torch.randn(1 << 18, generator=torch.Generator().manual_seed(0))
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            if len(shape) < 2:
                values = torch.full(shape, float(name.endswith("weight")))
            else:
                values = pool[: math.prod(shape)] * 0.5 * math.prod(shape[1:]) ** -0.5
            file.seek(8 + len(text) + header[name]["data_offsets"][0])
            file.write(values.to(torch.bfloat16).view(torch.uint8).numpy().tobytes())
        file.truncate(8 + len(text) + end)


def _lora(path: Path, rank: int = 4) -> None:
    """A LoRA in kohya's format on one projection that SD 1.5 and SDXL both have, as wide."""
    import torch
    from safetensors.torch import save_file

    place = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    weights = {
        f"{place}.lora_down.weight": torch.randn(rank, 640) * 0.1,
        f"{place}.lora_up.weight": torch.randn(640, rank) * 0.1,
        f"{place}.alpha": torch.tensor(float(rank)),
    }
    save_file(weights, path)
