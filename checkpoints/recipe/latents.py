"""Pictures as the diffusion model sees them: whole renders and close-ups, with captions, encoded.

Close-ups are what stage 3 works on: the padded crop round one product, at the model's size.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...samples import vocabulary
from .rendered_pictures import Renders

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


@dataclass(frozen=True)
class Cut:
    """Picture `index`, cut to a square box (x0, y0, x1, y1), mirrored or not, and its caption."""

    index: int
    box: tuple[int, int, int, int]
    mirrored: bool
    caption: str


@dataclass(frozen=True)
class Pictures:
    """Cuts of the renders and their latents, float16 (N, 4, h, w)."""

    renders: Renders
    cuts: list[Cut]
    latents: torch.Tensor

    def __len__(self) -> int:
        return len(self.cuts)

    @property
    def captions(self) -> list[str]:
        return [c.caption for c in self.cuts]

    def image(self, k: int) -> np.ndarray:
        """uint8 (H, W, 3) of cut k."""
        return cut_image(self.renders, self.cuts[k])


def cut_image(renders: Renders, cut: Cut) -> np.ndarray:
    """The pixels of a cut, resized to the renders' size."""
    import cv2

    x0, y0, x1, y1 = cut.box
    size = renders.images.shape[1]
    image = np.array(renders.images[cut.index, y0:y1, x0:x1])
    if image.shape[0] != size:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(image[:, ::-1]) if cut.mirrored else image


def choose(
    renders: Renders, *, whole: int, close: int, crowd: float = 0.1, seed: int = 4
) -> list[Cut]:
    """`whole` full pictures, a share `crowd` of them with several products or none, and `close`
    close-ups of single products, in random order."""
    rng = np.random.default_rng(seed)
    size = renders.images.shape[1]
    single = [i for i, m in enumerate(renders.meta) if len(m["products"]) == 1]
    rest = [i for i, m in enumerate(renders.meta) if len(m["products"]) != 1]
    few = rng.permutation(rest)[: int(whole * crowd)]
    many = rng.permutation(single)[: whole - len(few)]
    cuts = [
        Cut(int(i), (0, 0, size, size), bool(rng.random() < 0.5), renders.meta[i]["caption"])
        for i in (*few, *many)
    ]
    for i in rng.choice(single, close, replace=close > len(single)):
        meta = renders.meta[i]
        product = meta["products"][0]
        x0, y0, x1, y1 = product["box_xyxy"]
        side = min(size, max(x1 - x0, y1 - y0) * rng.uniform(1.04, 1.4))
        cx = (x0 + x1) / 2 + rng.uniform(-0.05, 0.05) * side
        cy = (y0 + y1) / 2 + rng.uniform(-0.05, 0.05) * side
        left = int(np.clip(cx - side / 2, 0, size - int(side)))
        top = int(np.clip(cy - side / 2, 0, size - int(side)))
        box = (left, top, left + int(side), top + int(side))
        caption = vocabulary.caption([product], [], meta["scene"], rng)
        cuts.append(Cut(int(i), box, bool(rng.random() < 0.5), caption))
    return [cuts[k] for k in rng.permutation(len(cuts))]


def _fingerprint(vae: AutoencoderKL, cuts: list[Cut]) -> str:
    """Changes with the encoder's weights and with the cuts."""
    digest = hashlib.sha256(repr([(c.index, c.box, c.mirrored) for c in cuts]).encode())
    for part in (vae.encoder, vae.quant_conv):
        for weight in part.state_dict().values():
            digest.update(weight.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def prepare(
    vae: AutoencoderKL, renders: Renders, cuts: list[Cut], folder: Path, batch: int = 50
) -> Pictures:
    """Encode the cuts, once for each VAE: the latents are kept in `folder`."""
    from .vae import encode

    cache = folder / f"latents-{_fingerprint(vae, cuts)}.pt"
    if cache.exists():
        return Pictures(renders, cuts, torch.load(cache, weights_only=True))
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for k in range(0, len(cuts), batch):
        images = np.stack([cut_image(renders, c) for c in cuts[k : k + batch]])
        parts.append(encode(vae, images))
        if k % 2000 == 0:
            print(f"latents: {k}/{len(cuts)}", flush=True)
    latents = torch.cat(parts)
    beside = cache.with_suffix(".part")
    torch.save(latents, beside)
    beside.replace(cache)
    return Pictures(renders, cuts, latents)
