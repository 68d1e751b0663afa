"""Stage 1: draws pictures from prompts by a diffusion pipeline with LoRAs.

Each shot has its own seed and its own noise, so that its picture does not depend on which others
are drawn in the same batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from ..configs.generate import GenerateOptions
from . import adaptive_batching
from .diffusion import lora_adapters, scheduled_embeddings, step_reports
from .diffusion.decode import FLAGGED, Decoded, NotANumberError
from .diffusion.family import denoiser
from .diffusion.lora_adapters import FindLora, no_loras
from .diffusion.passes import Passes, Refiner
from .families.known import family_of
from .prompts.lora_tags import parse
from .shot import Prompted, Shot
from .stage import Modules, pipeline_modules


class Generator:
    """Draws the shots whose source is a prompt. Prompts have A1111's attention, of any length.

    Args:
        pipe: a text-to-image pipeline of diffusers, of a family of `families.known`.
        options: how it draws.
        find_lora: from the name in `<lora:name:weight>` to its file.
        library: textual inversions, whose names are words of prompts.
        init_image: uint8 (H, W, 3); drawn over in place of noise.
        refiner: SDXL's refiner.
        references: pictures, uint8 (H, W, 3), for an IP-Adapter that `pipe` has.
        accelerate: False runs the library's own code, without the patches of `stages.accel`.
    """

    def __init__(
        self,
        pipe: Any,
        options: GenerateOptions | None = None,
        *,
        find_lora: FindLora = no_loras,
        library: EmbeddingLibrary = NO_EMBEDDINGS,
        init_image: np.ndarray | None = None,
        refiner: Refiner | None = None,
        references: Sequence[np.ndarray] = (),
        accelerate: bool = True,
    ) -> None:
        self.pipe, self.options = pipe, options or GenerateOptions()
        self.family = family_of(pipe)
        self.passes = Passes(
            self.family,
            pipe,
            self.options,
            init_image=init_image,
            refiner=refiner,
            references=references,
            accelerate=accelerate,
        )
        self.batch_size = self.options.batch_size
        self.fuse_loras = lora_adapters.fused(self.options.fuse_loras, accelerate)
        self.find_lora, self.library = find_lora, library

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Prompted shots get their `image`; others pass."""
        drawn = [s if isinstance(s.source, Prompted) and s.image is None else None for s in shots]
        waiting = [s for s in drawn if s is not None]
        done = iter(
            adaptive_batching.apply(
                waiting,
                self._draw,
                where="generate",
                key=lambda s: self._group(s.source),  # type: ignore[arg-type]
                stage=self,
            )
        )
        return [next(done) if d is not None else s for s, d in zip(shots, drawn, strict=True)]

    def modules(self) -> Modules:
        """The pipeline's parts, and the refiner's denoiser."""
        refiner = self.passes.refiner
        extra = {"refiner": [denoiser(refiner.pipe)]} if refiner else {}
        return {**pipeline_modules(self.pipe), **extra}

    def _group(self, source: Prompted) -> tuple[Any, ...]:
        """What must be equal in one call."""
        text, tags = parse(source.prompt)
        words = scheduled_embeddings.group(
            self.family, self.pipe, text, source.negative_prompt, self.library
        )
        return tags, words

    def _draw(self, shots: list[Shot]) -> list[Shot]:
        import torch

        sources = [s.source for s in shots if isinstance(s.source, Prompted)]
        parsed = [parse(s.prompt) for s in sources]
        clip_skip = self.options.clip_skip
        lora_adapters.attach(self.pipe, parsed[0][1], self.find_lora, fuse=self.fuse_loras)
        noise = [torch.Generator("cpu").manual_seed(s.seed) for s in sources]

        def words(pipe: Any, steps: int, **passes: Any) -> dict[str, Any]:
            texts, negatives = [text for text, _ in parsed], [s.negative_prompt for s in sources]
            return scheduled_embeddings.encode(
                self.family,
                pipe,
                texts,
                negatives,
                steps=steps,
                clip_skip=clip_skip,
                callback=step_reports.callback("generate", len(shots)),
                library=self.library,
                **passes,
            )

        with torch.inference_mode():
            drawn = self.family.decode(self.pipe, self.passes(words, noise))
        return [_outcome(shot, picture) for shot, picture in zip(shots, drawn, strict=True)]


def _outcome(shot: Shot, drawn: Decoded) -> Shot:
    """The shot with its picture, or with the reason for none."""
    if drawn.error:
        return shot.fail(NotANumberError(drawn.error), "generate")
    if drawn.flagged:
        return shot.skip(FLAGGED)
    done = replace(shot, image=drawn.pixels)
    return done.with_metrics(vae_upcast=1) if drawn.upcast else done
