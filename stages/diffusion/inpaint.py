"""Redraws masked crops by an inpainting pipeline, which ControlNets may lead."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from ...configs.rerender import RerenderOptions
from ..accel import controlnet_reuse, cpu_parallel
from ..accel.deep_cache import DeepCache
from ..prompts.lora_tags import parse
from ..regions import composite
from . import scheduled_embeddings, step_reports
from .control_maps import Control
from .decode import Decoded
from .family import Family


@dataclass(frozen=True)
class Controlled:
    """How a ControlNet leads a drawing.

    Args:
        control: makes its maps.
        conditioning_scale: its weight, 0..2.
        guidance_start: the share of the steps, 0..1, after which it begins.
        guidance_end: the share of the steps, 0..1, after which it ends.
        mode: the number of its kind of map in a union ControlNet.
    """

    control: Control
    conditioning_scale: float = 1.0
    guidance_start: float = 0.0
    guidance_end: float = 1.0
    mode: int | None = None


class Inpainter:
    """Redraws crops with masks.

    Args:
        family: of the pipeline.
        pipe: a ControlNet inpainting pipeline with a ControlNet for each of `controls`, or one
            union ControlNet for all; or an inpainting model's, which takes no controls.
        controls: control maps and their weights.
        options: how it draws.
        clip_skip: layers of the text encoder to skip; 1 skips one.
        library: textual inversions, whose names are words of prompts.
        references: pictures, uint8 (H, W, 3), for an IP-Adapter that `pipe` has.
        accelerate: False runs the library's own code, without the patches of `stages.accel`.
    """

    def __init__(
        self,
        family: Family,
        pipe: Any,
        controls: Sequence[Controlled],
        options: RerenderOptions,
        *,
        clip_skip: int | None = None,
        library: EmbeddingLibrary = NO_EMBEDDINGS,
        references: Sequence[np.ndarray] = (),
        accelerate: bool = True,
    ) -> None:
        from PIL import Image

        self.family, self.pipe, self.controls = family, pipe, tuple(controls)
        self.accelerate = accelerate
        self.scheduler = family.scheduler(options.sampler, pipe.scheduler.config)
        self.cache = DeepCache(options.cache_interval if accelerate else 1)
        self._begin_call: Callable[[], None] = _nothing
        self.clip_skip, self.library = clip_skip, library
        self.color_correction = options.color_correction
        net = getattr(pipe, "controlnet", None)
        self.union = "num_control_type" in getattr(net, "config", {})

        def each(name: str) -> Any:
            values = [getattr(c, name) for c in self.controls]
            return values if len(values) > 1 or self.union else values[0]

        self.arguments: dict[str, Any] = {
            "num_inference_steps": options.steps,
            "guidance_scale": options.cfg_scale,
        }
        if self.controls:
            self.arguments |= {
                "controlnet_conditioning_scale": each("conditioning_scale"),
                "control_guidance_start": each("guidance_start"),
                "control_guidance_end": each("guidance_end"),
            }
        if self.union:
            self.arguments["control_mode"] = each("mode")
        if references:
            self.arguments["ip_adapter_image"] = [[Image.fromarray(r) for r in references]]

    def group(self, prompt: str, negative: str) -> Hashable:
        """What must be equal in one call, of a prompt without LoRA tags and a negative one."""
        return scheduled_embeddings.group(self.family, self.pipe, prompt, negative, self.library)

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Within the block, calls share what stays the same; several threads may call."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.cache.over(self.pipe))
            if self.accelerate:
                self._begin_call = stack.enter_context(controlnet_reuse.reuse(self.pipe))
                stack.callback(setattr, self, "_begin_call", _nothing)
            yield

    def _own_pipe(self) -> Any:
        """A pipeline over the same models for one call: several may be at work at once."""
        pipe = copy.copy(self.pipe)
        pipe.scheduler = copy.deepcopy(self.scheduler)
        if self.accelerate:
            self.family.accelerate(pipe)
        return pipe

    def __call__(
        self,
        images: list[np.ndarray],
        masks: list[np.ndarray],
        words: Sequence[tuple[str, str]],
        *,
        seeds: Sequence[int],
        strength: float,
    ) -> tuple[list[Decoded], Sequence[np.ndarray | None]]:
        """Redraw crops; returns them in order, with the first control's map of each, or None.

        Args:
            images: uint8 (h, w, 3), of one size.
            masks: bool (h, w), True where they are redrawn.
            words: prompt and negative prompt of each, of equal numbers of chunks and with the same
                LoRAs.
            seeds: of each crop's noise.
            strength: 0..1, how much is redrawn.
        """
        import torch
        from PIL import Image

        maps = [c.control(images, masks) for c in self.controls]
        hints = [torch.from_numpy(np.stack(m)).permute(0, 3, 1, 2) for m in maps]
        led: dict[str, Any] = {}
        if hints:
            led["control_image"] = hints if len(hints) > 1 or self.union else hints[0]
        height, width = images[0].shape[:2]
        self.cache.begin()
        self._begin_call()
        with torch.inference_mode():
            latents = self.family.draw(
                self._own_pipe(),
                (width, height),
                **scheduled_embeddings.encode(
                    self.family,
                    self.pipe,
                    [parse(prompt)[0] for prompt, _ in words],
                    [negative for _, negative in words],
                    steps=self.arguments["num_inference_steps"] * int(self.scheduler.order),
                    clip_skip=self.clip_skip,
                    library=self.library,
                    callback=after_step(len(images)),
                ),
                image=[Image.fromarray(i) for i in images],
                mask_image=[Image.fromarray(m.astype(np.uint8) * 255) for m in masks],
                generator=[torch.Generator("cpu").manual_seed(s % 2**63) for s in seeds],
                strength=max(strength, 1 / self.arguments["num_inference_steps"]),
                **led,
                **self.arguments,
            )
            drawn = self.family.decode(self.pipe, latents)
        if self.color_correction:
            drawn = [
                d if d.error else d.with_pixels(composite.match_colours(d.pixels, i, m))
                for d, i, m in zip(drawn, images, masks, strict=True)
            ]
        return drawn, maps[0] if maps else [None] * len(images)


def _nothing() -> None:
    """Stands for the beginning of a call that shares nothing with others."""


def after_step(pictures: int) -> scheduled_embeddings.Callback:
    """Return what diffusers calls after each step: it ends the call where nobody waits for it any
    more."""
    report = step_reports.callback("rerender", pictures)

    def after(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        cpu_parallel.step()
        return report(pipe, step, time, tensors)

    return after
