"""Draws a contact sheet by the UNet as it is in the middle of its training.

Eight classes with four seeds each, and below them prompts with two colour words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ....samples import vocabulary

TWO_COLOURS = (
    "a red mug with a white band",
    "a blue car on a wooden table",
    "a yellow handbag on a blue background",
    "a green wristwatch with a white dial",
)
TONES = ("red", "blue", "green", "yellow", "black", "white", "purple", "orange")
SCENES = ("white background", "wooden table", "shelf", "street")


def prompts() -> list[str]:
    """One prompt a picture, a row of four a class."""
    rows = []
    for k, name in enumerate(vocabulary.CLASSES):
        for j in range(4):
            rows.append(f"a {TONES[(k + 2 * j) % 8]} {name} on a {SCENES[(k + j) % 4]}")
    return rows + [TWO_COLOURS[k % 4] for k in range(16)]


def load(workdir: Path) -> tuple[Any, Any, Any, int, bool]:
    """(UNet, text encoder, tokenizer, step, whether at half size) of the latest state, averaged."""
    from transformers import CLIPTokenizer

    from . import denoiser

    path, half = workdir / "state" / "unet.pt", False
    if not path.exists():
        path, half = workdir / "state" / "unet-half.pt", True
    state = torch.load(path, weights_only=True, map_location="cpu")
    tok = CLIPTokenizer.from_pretrained(workdir / "out" / "tokenizer")
    weights = state["modules"]["unet"]
    stages = 1 + max(int(k.split(".")[1]) for k in weights if k.startswith("down_blocks."))
    channels = tuple(
        weights[f"down_blocks.{k}.resnets.0.conv2.weight"].shape[0] for k in range(stages)
    )
    net, text = denoiser.unet(channels), denoiser.text_encoder(tok)
    net.load_state_dict(weights)
    text.load_state_dict(state["modules"]["text"])
    with torch.no_grad():
        for p, e in zip([*net.parameters(), *text.parameters()], state["ema"], strict=True):
            p.copy_(e)
    return net.eval(), text.eval(), tok, state["step"], half


@torch.no_grad()
def draw(workdir: Path, device: str = "cpu", steps: int = 20, guidance: float = 4.0) -> Path:
    """Write workdir/sheets/<step>-<pixels>.png and return its path."""
    from diffusers import AutoencoderKL, DPMSolverMultistepScheduler
    from PIL import Image

    from . import denoiser

    net, text, tok, step, half = load(workdir)
    net, text = net.to(device), text.to(device)
    vae = AutoencoderKL.from_pretrained(workdir / "out" / "vae").to(device)
    size = vae.config.sample_size // (2 if half else 1)
    scheduler = DPMSolverMultistepScheduler.from_config(denoiser.schedule().config)
    asked = prompts()
    pictures = []
    for k in range(0, len(asked), 4):
        scheduler.set_timesteps(steps)
        words = denoiser.tokens(tok, ["" for _ in range(4)] + asked[k : k + 4]).to(device)
        hidden = text(words).last_hidden_state
        noise = torch.Generator().manual_seed(k)
        z = torch.randn(4, 4, size // 8, size // 8, generator=noise).to(device)
        for t in scheduler.timesteps:
            with torch.autocast(device, torch.bfloat16):
                v = net(torch.cat([z, z]), t, hidden).sample.float()
            plain, led = v.chunk(2)
            z = scheduler.step(plain + guidance * (led - plain), t, z).prev_sample
        image = vae.decode(z / vae.config.scaling_factor).sample.clamp(-1, 1)
        pictures.append(((image.permute(0, 2, 3, 1).cpu().numpy() + 1) * 127.5).astype(np.uint8))
    rows = [np.hstack(list(p)) for p in pictures]
    middle = len(rows) // 2
    grid = np.hstack([np.vstack(rows[:middle]), np.vstack(rows[middle:])])
    path = workdir / "sheets" / f"{step:07d}-{size}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(grid).save(path)
    print(f"sheet: {path}", flush=True)
    return path
