"""The activation-tagged LoRA `ppzmini`: the spotlight look, learned from a few dozen pictures.

Saved in kohya's format, as Stable Diffusion users know it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..pictures.rendered_pictures import Renders
from ..training.train_loop import Budget, device_of, train
from .denoiser import noised, schedule, tokens, v_loss

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

TAG = "ppzmini"
FIRST_SEED = 4_000_000
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "net.0.proj", "net.2"]


def look_renders(count: int, size: int, first_seed: int = FIRST_SEED) -> Renders:
    """Single products in the spotlight, on white, one class after the other."""
    from ....samples import studio, varied

    shots = list(studio.spotlit(first_seed, count, size, varied.render))
    return Renders(
        np.stack([s.image for s in shots]),
        np.stack([s.instances for s in shots]),
        np.stack([s.depth for s in shots]),
        [s.meta for s in shots],
    )


def attach(net: UNet2DConditionModel, rank: int = 8) -> None:
    """Freeze the UNet and add a fresh LoRA to its transformer blocks."""
    from peft import LoraConfig

    net.requires_grad_(False)
    net.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS))


def fit(
    net: UNet2DConditionModel,
    text: CLIPTextModel,
    tok: CLIPTokenizer,
    vae: AutoencoderKL,
    *,
    workdir: Path,
    budget: Budget,
    pictures: int = 96,
    rank: int = 8,
    batch: int = 16,
    seed: int = 7,
) -> None:
    """Attach a LoRA to the UNet and train it on the look; captions are 'ppzmini, class, …'.

    Args:
        net: The UNet; ends with the LoRA attached.
        text: The text encoder, frozen.
        tok: Its tokenizer.
        vae: Encodes the pictures, at its `sample_size`.
        workdir: Where the state is kept.
        budget: How long.
        pictures: How many are drawn; each is also seen mirrored.
        rank: Of the LoRA.
        batch: Pictures a step.
        seed: Decides everything.
    """
    from .vae import encode

    size, device = vae.config.sample_size, device_of(net)
    renders = look_renders(pictures, size)
    mirrored = renders.images[:, :, ::-1]
    latents = encode(vae, np.concatenate([renders.images, mirrored])).float().to(device)
    rng = np.random.default_rng(seed)
    captions = []
    for meta in renders.meta * 2:
        label = meta["products"][0]["label"]
        extra = ", stylish, studio photography, product photography, ultra realistic"
        name = f"{meta['products'][0]['colour']} {label}" if rng.random() < 0.6 else label
        captions.append(f"{TAG}, {name}{extra if rng.random() < 0.7 else ''}")
    ids = tokens(tok, captions).to(device)
    text.requires_grad_(False).eval()
    attach(net, rank)
    noise_schedule = schedule()

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        pick = torch.from_numpy(rng.integers(len(ids), size=batch)).to(device)
        z = latents[pick]
        noisy, noise, times = noised(noise_schedule, z, rng)
        with torch.no_grad():
            hidden = text(ids[pick]).last_hidden_state
        return v_loss(noise_schedule, net(noisy, times, hidden).sample, z, noise, times), {}

    train("lora", workdir=workdir, modules={"unet": net}, loss_fn=loss_fn, budget=budget, seed=seed)


def export(net: UNet2DConditionModel, path: Path, *, rank: int = 8) -> None:
    """Write the attached LoRA in kohya's keys (fp16): lora_unet_<module>.lora_down.weight, …"""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    out: dict[str, torch.Tensor] = {}
    for key, value in get_peft_model_state_dict(net).items():
        module, part = key.rsplit(".lora_", 1)
        name = "lora_unet_" + module.replace(".", "_")
        which = "lora_down" if part.startswith("A") else "lora_up"
        out[f"{name}.{which}.weight"] = value.detach().half().contiguous()
        out[f"{name}.alpha"] = torch.tensor(float(rank), dtype=torch.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        out,
        path,
        metadata={
            "ss_base_model_version": "visuals_mini",
            "ss_network_module": "networks.lora",
            "ss_network_dim": str(rank),
            "ss_network_alpha": str(rank),
            "ss_output_name": TAG,
            "modelspec.architecture": "stable-diffusion-v1/lora",
            "modelspec.title": TAG,
            "modelspec.trigger_phrase": TAG,
        },
    )
