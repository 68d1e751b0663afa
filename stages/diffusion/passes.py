"""The passes of text-to-image: base pass from noise or from a picture, hires fix, refiner."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...configs.generate import GenerateOptions, HiresSettings
from ..accel.deep_cache import DeepCache
from .family import Family
from .samplers import using

Words = Callable[..., dict[str, Any]]
"""Of a pipeline, the steps of a pass, `done` and `start` (see `scheduled_embeddings.encode`): its
keyword arguments that say what to draw."""


@dataclass(frozen=True)
class Refiner:
    """An SDXL refiner's pipeline; `high_noise_frac`: the share of the time steps, 0..1, before
    it."""

    pipe: Any
    high_noise_frac: float = 0.8


def fit(image: np.ndarray, size_wh: tuple[int, int]) -> Any:
    """The middle of a picture, uint8 (H, W, 3), at a size, as a PIL image (A1111's "crop and
    resize")."""
    from PIL import Image, ImageOps

    return ImageOps.fit(Image.fromarray(image), size_wh, Image.Resampling.LANCZOS)


def steps_for(run: int, strength: float) -> int:
    """The `num_inference_steps` of which diffusers runs `run` at a strength.

    >>> steps_for(20, 0.7)
    29
    """
    steps = math.ceil(run / strength)
    while int(steps * strength) < run:
        steps += 1
    return steps


def slerp(one: Any, other: Any, share: float) -> Any:
    """Between two noises, float (channels, h, w), on the sphere; by columns, as in A1111."""
    import torch

    unit, other_unit = (x / x.norm(dim=1, keepdim=True) for x in (one, other))
    angle = torch.acos((unit * other_unit).sum(1, keepdim=True).clamp(-1, 1))
    parts = torch.sin((1 - share) * angle) * one + torch.sin(share * angle) * other
    return torch.where(torch.sin(angle) == 0, one, parts / torch.sin(angle))


class Passes:
    """Stage 1's passes over one pipeline.

    Args:
        family: of the pipeline.
        pipe: the pipeline.
        options: how it draws.
        init_image: uint8 (H, W, 3); drawn over in place of noise.
        refiner: SDXL's refiner.
        references: pictures, uint8 (H, W, 3), for an IP-Adapter that `pipe` has.
        accelerate: False switches DeepCache off.
    """

    def __init__(
        self,
        family: Family,
        pipe: Any,
        options: GenerateOptions,
        *,
        init_image: np.ndarray | None = None,
        refiner: Refiner | None = None,
        references: Sequence[np.ndarray] = (),
        accelerate: bool = True,
    ) -> None:
        from PIL import Image

        self.family = family
        self.pipe, self.options, self.refiner = pipe, options, refiner
        self.scheduler = family.scheduler(options.sampler, pipe.scheduler.config)
        self.size_wh = options.width, options.height
        self.cache = DeepCache(options.cache_interval if accelerate else 1)
        self.common: dict[str, Any] = {"guidance_scale": options.cfg_scale}
        self.base: dict[str, Any] = {}
        if references:
            self.base["ip_adapter_image"] = [[Image.fromarray(r) for r in references]]
        self.init = None if init_image is None else fit(init_image, self.size_wh)
        self.over = None
        if options.hires or init_image is not None:
            from diffusers import AutoPipelineForImage2Image

            self.over = AutoPipelineForImage2Image.from_pipe(pipe)
            self.over.set_progress_bar_config(disable=True)
        if refiner:
            self.refiner_scheduler = family.scheduler(
                options.sampler, refiner.pipe.scheduler.config
            )

    def __call__(self, words: Words, noise: list[Any]) -> Any:
        """Latents (N, channels, h, w); `noise`: a generator for each picture."""
        latents = self._first(words, noise)
        if self.options.hires:
            latents = self._again(latents, self.options.hires, words, noise)
        return self._refined(latents, words, noise) if self.refiner else latents

    def _end(self, last: bool) -> dict[str, Any]:
        """The refiner, where there is one, takes over before the end of the last pass."""
        return {"denoising_end": self.refiner.high_noise_frac} if self.refiner and last else {}

    def _first(self, words: Words, noise: list[Any]) -> Any:
        rest = {**self.common, **self.base, **self._end(last=self.options.hires is None)}
        if self.init is not None:
            return self._over(
                [self.init] * len(noise),
                self.size_wh,
                words(self.over, self._steps(self.options.steps)),
                noise,
                strength=max(self.options.prompt_strength, 1 / self.options.steps),
                num_inference_steps=self.options.steps,
                **rest,
            )
        with using(self.pipe, self.scheduler), self.cache.over(self.pipe):
            return self.family.draw(
                self.pipe,
                self.size_wh,
                **words(self.pipe, self._steps(self.options.steps)),
                num_inference_steps=self.options.steps,
                generator=noise,
                **self._varied(noise),
                **rest,
            )

    def _varied(self, noise: list[Any]) -> dict[str, Any]:
        """The noise to begin from, where another seed's is mixed in; `noise` is read as usual."""
        import torch
        from diffusers.utils.torch_utils import randn_tensor

        variation = self.options.variation
        if variation is None:
            return {}
        shape = 1, *self.family.noise_shape(self.pipe, self.size_wh)
        place = {"device": self.pipe._execution_device, "dtype": self.family.noise_dtype(self.pipe)}
        other = torch.Generator("cpu").manual_seed(variation.seed)
        (varied,) = randn_tensor(shape, other, **place)
        own = (randn_tensor(shape, generator, **place)[0] for generator in noise)
        return {"latents": torch.stack([slerp(one, varied, variation.strength) for one in own])}

    def _again(self, latents: Any, hires: HiresSettings, words: Words, noise: list[Any]) -> Any:
        from PIL import Image
        from torch.nn.functional import interpolate

        step = self.family.multiple
        width, height = (round(side * hires.scale / step) * step for side in self.size_wh)
        image: Any
        if hires.upscaler == "latent":
            _, *size = self.family.noise_shape(self.pipe, (width, height))
            image = interpolate(latents.float(), size, mode="bilinear").to(latents.dtype)
        else:
            pictures = [Image.fromarray(d.pixels) for d in self.family.decode(self.pipe, latents)]
            image = [p.resize((width, height), Image.Resampling.LANCZOS) for p in pictures]
        steps = hires.steps or self.options.steps
        return self._over(
            image,
            (width, height),
            words(self.over, self._steps(steps), done=self._steps(self.options.steps)),
            noise,
            strength=hires.strength,
            num_inference_steps=steps_for(steps, hires.strength),
            **{**self.common, **self.base, **self._end(last=True)},
        )

    def _over(
        self,
        image: Any,
        size_wh: tuple[int, int],
        words: dict[str, Any],
        noise: list[Any],
        **options: Any,
    ) -> Any:
        assert self.over is not None
        with using(self.over, self.scheduler), self.cache.over(self.over):
            return self.family.draw(
                self.over, size_wh, **words, image=image, generator=noise, **options
            )

    def _steps(self, steps: int) -> int:
        """Evaluations of the model: samplers of second order have two a step."""
        return steps * int(self.scheduler.order)

    def _refined(self, latents: Any, words: Words, noise: list[Any]) -> Any:
        assert self.refiner is not None
        pipe, hires = self.refiner.pipe, self.options.hires
        before = self._steps(self.options.steps)
        steps = self._steps(hires.steps or self.options.steps) if hires else before
        start = int(steps * self.refiner.high_noise_frac)
        with using(pipe, self.refiner_scheduler):
            return self.family.draw(
                pipe,
                self.size_wh,
                **words(pipe, steps, done=before if hires else 0, start=start),
                image=latents,
                denoising_start=self.refiner.high_noise_frac,
                num_inference_steps=self.options.steps,
                generator=noise,
                **self.common,
            )
