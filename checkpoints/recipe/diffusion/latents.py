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

from ....samples import vocabulary
from ..pictures.rendered_pictures import Renders

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


@dataclass(frozen=True)
class Cut:
    """Picture `index`, cut to a square box (x0, y0, x1, y1), mirrored or not, its caption, and
    the side in pixels that it is seen at."""

    index: int
    box: tuple[int, int, int, int]
    mirrored: bool
    caption: str
    side: int


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
    """The pixels of a cut, resized to its side."""
    import cv2

    x0, y0, x1, y1 = cut.box
    image = np.array(renders.images[cut.index, y0:y1, x0:x1])
    if len(image) != cut.side:
        way = cv2.INTER_CUBIC if len(image) < cut.side else cv2.INTER_AREA
        image = cv2.resize(image, (cut.side, cut.side), interpolation=way)
    return np.ascontiguousarray(image[:, ::-1]) if cut.mirrored else image


def choose(
    renders: Renders,
    *,
    whole: int,
    details: int = 0,
    side: int | None = None,
    crowd: float = 0.1,
    seed: int = 4,
) -> list[Cut]:
    """Cuts for the diffusion model, in random order.

    Args:
        renders: The pictures.
        whole: How many full pictures.
        details: How many squares of `side` pixels as they are, on a product; their captions
            begin with 'detail of', so that pictures without these words stay whole.
        side: Pixels of the cuts; None: the renders' size.
        crowd: Share of the full pictures with several products or none.
        seed: Decides which.
    """
    rng = np.random.default_rng(seed)
    size = renders.images.shape[1]
    side = side or size
    single = [i for i, m in enumerate(renders.meta) if len(m["products"]) == 1]
    rest = [i for i, m in enumerate(renders.meta) if len(m["products"]) != 1]
    few = rng.permutation(rest)[: int(whole * crowd)]
    many = rng.permutation(single)[: whole - len(few)]
    cuts = [
        Cut(int(i), (0, 0, size, size), bool(rng.random() < 0.5), renders.meta[i]["caption"], side)
        for i in (*few, *many)
    ]
    for i in rng.choice(single, details):
        meta = renders.meta[i]
        product = meta["products"][0]
        x0, y0, x1, y1 = product["box_xyxy"]
        cx, cy = rng.uniform(x0, x1), rng.uniform(y0, y1)
        left = int(np.clip(cx - side / 2, 0, size - side))
        top = int(np.clip(cy - side / 2, 0, size - side))
        box = (left, top, left + side, top + side)
        caption = f"detail of {vocabulary.caption([product], [], meta['scene'], rng)}"
        cuts.append(Cut(int(i), box, bool(rng.random() < 0.5), caption, side))
    return [cuts[k] for k in rng.permutation(len(cuts))]


def _fingerprint(vae: AutoencoderKL, cuts: list[Cut]) -> str:
    """Changes with the encoder's weights and with the cuts."""
    digest = hashlib.sha256(repr([(c.index, c.box, c.mirrored, c.side) for c in cuts]).encode())
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
