"""Renders as the diffusion model would draw them: latents noised, denoised and decoded.

Their masks, boxes and depth are those of the renders, so the segmenter learns on what stage 1
draws and still has an exact truth (SDEdit, Meng et al. 2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..pictures.rendered_pictures import Renders, open_renders
from ..training.train_loop import device_of
from .denoiser import schedule, tokens
from .vae import encode

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

BATCH = 8
NOISE = (150, 450)
"""Times, of 1,000, that pictures are noised to: late enough to be drawn anew, early enough to keep
their outlines."""


@torch.no_grad()
def redraw(
    models: tuple[AutoencoderKL, UNet2DConditionModel, CLIPTextModel, CLIPTokenizer],
    images: np.ndarray,
    captions: list[str],
    seed: int,
    steps: int = 6,
    guidance: float = 3.0,
) -> np.ndarray:
    """uint8 (N, H, W, 3) pictures, drawn anew from their noised latents; the same out."""
    from diffusers import DDIMScheduler

    vae, net, text, tok = models
    device = device_of(net)
    rng = np.random.default_rng(seed)
    start = int(rng.integers(*NOISE))
    scheduler = DDIMScheduler.from_config(schedule().config, clip_sample=False)
    times = np.linspace(start, 0, steps, endpoint=False).astype(int)
    scheduler.num_inference_steps = 1000 * steps // start  # the stride between two times
    z = encode(vae, images).float().to(device)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed)).to(device)
    z = scheduler.add_noise(z, noise, torch.full((len(z),), start, device=device))
    hidden = text(tokens(tok, [""] * len(z) + captions).to(device)).last_hidden_state
    for t in times:
        with torch.autocast(device.type, torch.bfloat16):
            v = net(torch.cat([z, z]), int(t), hidden).sample.float()
        plain, led = v.chunk(2)
        z = scheduler.step(plain + guidance * (led - plain), int(t), z).prev_sample
    out = vae.decode(z).sample.clamp(-1, 1).permute(0, 2, 3, 1).cpu().numpy()
    redrawn: np.ndarray = np.rint((out + 1) * 127.5).astype(np.uint8)
    return redrawn


def draw_split(
    models: tuple[AutoencoderKL, UNet2DConditionModel, CLIPTextModel, CLIPTokenizer],
    folder: Path,
    count: int,
) -> Renders:
    """The first `count` pictures of the split `train`, drawn anew into folder/decoded.

    What is there is not drawn again. Masks and depth are links to those of `train`.
    """
    train, target = open_renders(folder, "train"), folder / "decoded"
    target.mkdir(exist_ok=True)
    for name in ("instances", "depth"):
        if not (target / name).exists():
            (target / name).symlink_to(Path("..") / "train" / name)
    (target / "size").write_text(str(train.images.shape[1]))
    lines = (folder / "train" / "meta.jsonl").read_text().splitlines(keepends=True)
    kept = target / "meta.jsonl"
    done = kept.read_text().count("\n") if kept.exists() else 0
    for k in range(done, min(count, len(train)), BATCH):
        captions = [m["caption"] for m in train.meta[k : k + BATCH]]
        out = redraw(models, np.array(train.images[k : k + BATCH]), captions, seed=k)
        with open(target / "images", "ab") as file:
            file.truncate(k * out[0].nbytes)  # what a stopped drawing left over
            file.write(out.tobytes())
        with open(kept, "a") as file:
            file.write("".join(lines[k : k + BATCH]))
        if k % 200 == 0:
            print(f"decoded: {k}/{count}", flush=True)
    return open_renders(folder, "decoded")
