"""A LoRA training's step as diffusers' `train_text_to_image_lora.py` does it: no caches.

Each step reads and transforms its pictures, encodes them by the VAE and their captions by the
text encoder, then trains the UNet's LoRA. Knows nothing of `visuals`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def steps(
    model: str,
    folder: str,
    *,
    size: int,
    batch: int,
    rank: int,
    learning_rate: float,
    target_modules: list[str],
) -> Iterator[float]:
    """Yields the loss after each step, without end. `folder`: pictures and `metadata.jsonl`."""
    import torch
    import torch.nn.functional as F
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from diffusers.optimization import get_scheduler
    from peft import LoraConfig
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms
    from transformers import CLIPTextModel, CLIPTokenizer

    scheduler = DDPMScheduler.from_pretrained(model, subfolder="scheduler")
    tokenizer = CLIPTokenizer.from_pretrained(model, subfolder="tokenizer")
    text_encoder = CLIPTextModel.from_pretrained(
        model, subfolder="text_encoder", dtype=torch.float32
    )
    vae = AutoencoderKL.from_pretrained(model, subfolder="vae")
    unet = UNet2DConditionModel.from_pretrained(model, subfolder="unet")
    for frozen in (unet, vae, text_encoder):
        frozen.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(
            r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=target_modules
        )
    )
    weights = [p for p in unet.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate)
    rate = get_scheduler("constant", optimizer=optimizer)
    change = transforms.Compose(
        [
            transforms.Resize(size, interpolation=transforms.InterpolationMode.LANCZOS),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize([0.5], [0.5]),
        ]
    )

    class Pictures(Dataset[Any]):
        def __init__(self) -> None:
            text = Path(folder, "metadata.jsonl").read_text(encoding="utf-8")
            self.rows = [json.loads(line) for line in text.splitlines()]

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, number: int) -> tuple[Any, Any]:
            row = self.rows[number]
            with Image.open(Path(folder, row["file_name"])) as image:
                pixels = change(image.convert("RGB"))
            ids = tokenizer(
                row["text"],
                max_length=tokenizer.model_max_length,
                padding="max_length",
                truncation=True,
                return_tensors="pt",
            ).input_ids[0]
            return pixels, ids

    data = DataLoader(Pictures(), shuffle=True, batch_size=batch, drop_last=True)
    unet.train()
    while True:
        for pixels, ids in data:
            latents = vae.encode(pixels).latent_dist.sample() * vae.config.scaling_factor
            noise = torch.randn_like(latents)
            times = torch.randint(scheduler.config.num_train_timesteps, (len(latents),)).long()
            noisy = scheduler.add_noise(latents, noise, times)
            hidden = text_encoder(ids, return_dict=False)[0]
            if scheduler.config.prediction_type == "v_prediction":
                target = scheduler.get_velocity(latents, noise, times)
            else:
                target = noise
            said = unet(noisy, times, hidden, return_dict=False)[0]
            loss = F.mse_loss(said.float(), target.float(), reduction="mean")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
            yield loss.item()
