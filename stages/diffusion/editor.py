"""Redraws crops by an instruction, with an edit model that sees the whole crop."""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...configs.rerender import RerenderOptions
from ..prompts import prompt_editing
from ..prompts.lora_tags import parse
from ..regions import composite, registration
from .decode import Decoded
from .family import Family
from .inpaint import Controlled, after_step


@functools.cache
def _warn_of_prompt_editing() -> None:
    logging.getLogger(__name__).warning(
        "an instruction does not change between steps, as in [a:b:0.5]: the words of the first "
        "step stay"
    )


class Editor:
    """Redraws crops by instructions; each in a call of its own, so that it does not depend on its
    batch.

    Args:
        family: of the pipeline.
        pipe: an edit model's pipeline.
        options: how it draws.
    """

    controls: tuple[Controlled, ...] = ()

    def __init__(self, family: Family, pipe: Any, options: RerenderOptions) -> None:
        self.family, self.pipe = family, pipe
        self.scheduler = family.scheduler(options.sampler, pipe.scheduler.config)
        self.steps = options.steps
        self.arguments = {
            "num_inference_steps": options.steps,
            "guidance_scale": options.cfg_scale,
        }

    def group(self, instruction: str, negative: str) -> Hashable:
        """What must be equal in one call beside the LoRAs: nothing."""
        return None

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Calls share nothing but the models; several threads may call."""
        yield

    def __call__(
        self,
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        words: Sequence[tuple[str, str]],
        *,
        seeds: Sequence[int],
    ) -> list[Decoded]:
        """Redraw crops; returns them in order, laid over their sources, with colours that meet
        those just outside the masks.

        Args:
            images: uint8 (h, w, 3), of one size.
            masks: bool (h, w), True where something else may be.
            words: instruction and negative prompt of each, all with the same LoRAs.
            seeds: of each crop's noise.
        """
        return [
            self._laid_over(self.draw(image, *pair, seed=seed), image, mask)
            for image, mask, pair, seed in zip(images, masks, words, seeds, strict=True)
        ]

    def draw(self, image: np.ndarray, instruction: str, negative: str, *, seed: int) -> Decoded:
        """A crop, uint8 (h, w, 3), as the model draws it by an instruction, at the crop's size."""
        import torch

        text = parse(instruction)[0]
        if prompt_editing.edits(text):
            _warn_of_prompt_editing()
            text = prompt_editing.texts(text, self.steps)[0]
        pipe = copy.copy(self.pipe)
        pipe.scheduler = copy.deepcopy(self.scheduler)
        with torch.inference_mode():
            latents = self.family.edit(
                pipe,
                image,
                text,
                negative,
                generator=torch.Generator("cpu").manual_seed(seed % 2**63),
                callback_on_step_end=after_step(1),
                **self.arguments,
            )
            (drawn,) = self.family.decode(self.pipe, latents)
        if drawn.error:
            return drawn
        return drawn.with_pixels(composite.resize(drawn.pixels, image.shape[1::-1]))

    @staticmethod
    def _laid_over(drawn: Decoded, image: np.ndarray, mask: np.ndarray) -> Decoded:
        if drawn.error:
            return drawn
        laid, moved = registration.register(drawn.pixels, image, mask)
        return replace(drawn.with_pixels(composite.match_colours(laid, image, mask)), moved=moved)
