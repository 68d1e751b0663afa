"""Stage 1: prompts to pictures, by a Stable Diffusion pipeline with LoRAs.

Knows no files. Each shot has its own seed and its own noise, so that its picture does not
depend on which others are drawn beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import batch, embed, lora
from .prompt import parse
from .samplers import scheduler
from .shot import Prompted, Shot, Skip


def to_uint8(images: np.ndarray) -> np.ndarray:
    """float (N, H, W, 3) in 0..1 to uint8; not-a-number is an error."""
    if not np.isfinite(images).all():
        raise FloatingPointError("the VAE gave not-a-number; try --set run.dtype=float32")
    return np.rint(images * 255).clip(0, 255).astype(np.uint8)


class Generator:
    """Draws the shots whose source is a prompt.

    Prompts have A1111's attention, of any length. `width`, `height`: pixels; `sampler`: A1111's
    name; `clip_skip`: as in diffusers, 1 skips one layer; `lora_dirs`: folders in which
    `<lora:name:weight>` is looked for; `fuse_loras`: add them into the weights while the tags
    stay the same.
    """

    def __init__(
        self,
        pipe: Any,
        *,
        steps: int = 30,
        cfg_scale: float = 7.0,
        width: int = 512,
        height: int = 512,
        sampler: str = "DPM++ 2M Karras",
        clip_skip: int | None = None,
        batch_size: int = 4,
        lora_dirs: Sequence[str | Path] = (),
        fuse_loras: bool = False,
    ) -> None:
        self.pipe = pipe
        self.scheduler = scheduler(sampler, pipe.scheduler.config)
        self.options = {
            "num_inference_steps": steps,
            "guidance_scale": cfg_scale,
            "width": width,
            "height": height,
            "output_type": "np",
        }
        self.clip_skip = clip_skip
        self.batch_size = batch_size
        self.lora_dirs, self.fuse_loras = tuple(lora_dirs), fuse_loras

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Prompted shots get their `image`; others pass."""
        drawn = [s if isinstance(s.source, Prompted) and s.image is None else None for s in shots]
        waiting = [s for s in drawn if s is not None]
        done = iter(
            batch.apply(
                waiting,
                self._draw,
                where="generate",
                key=lambda s: self._group(s.source),  # type: ignore[arg-type]
                size=self.batch_size,
            )
        )
        return [next(done) if d is not None else s for s, d in zip(shots, drawn, strict=True)]

    def _group(self, source: Prompted) -> tuple[Any, ...]:
        """What must be equal in one call: a longer neighbour would pad, and change, the picture."""
        text, tags = parse(source.prompt)
        return tags, embed.count(self.pipe, text, source.negative_prompt)

    def _draw(self, shots: list[Shot]) -> list[Shot]:
        import torch

        sources = [s.source for s in shots if isinstance(s.source, Prompted)]
        parsed = [parse(s.prompt) for s in sources]
        lora.attach(self.pipe, parsed[0][1], self.lora_dirs, fuse=self.fuse_loras)
        self.pipe.scheduler = self.scheduler
        noise = [torch.Generator("cpu").manual_seed(s.seed) for s in sources]
        with torch.inference_mode():
            out = self.pipe(
                **embed.encode(
                    self.pipe,
                    [text for text, _ in parsed],
                    [s.negative_prompt for s in sources],
                    clip_skip=self.clip_skip,
                ),
                generator=noise,
                **self.options,
            )
        images = to_uint8(out.images)
        flags = out.nsfw_content_detected or [False] * len(shots)
        return [
            shot.skip(Skip("flagged", "the safety checker flagged the picture; try another seed"))
            if flag
            else replace(shot, image=image)
            for shot, image, flag in zip(shots, images, flags, strict=True)
        ]
