"""Builds the captioner (BLIP) and the token counter of a folder's captions from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import low_memory
from .devices import device_and_dtype

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...training.captioning.blip_captioner import Captioner
    from ...training.datasets.caption_edits import CountTokens


def captioner(settings: Settings) -> Captioner:
    """The BLIP of the settings, on the run's device."""
    from ...checkpoints import load
    from ...training.captioning.blip_captioner import Captioner

    c = settings.caption
    device, dtype = device_and_dtype(settings)
    with low_memory.explained(settings, "set --device cpu"):
        model, processor = load.load_captioner(c.model, device=device, dtype=dtype)
    return Captioner(
        model,
        processor,
        num_beams=c.num_beams,
        min_tokens=c.min_tokens,
        max_tokens=c.max_tokens,
        batch_size=c.batch_size,
    )


def token_counter(settings: Settings) -> CountTokens:
    """Counts as the text encoder of `generate.model` does."""
    from ...checkpoints.clip_tokenizer import load_tokenizer
    from ...training.datasets.caption_edits import token_counter

    return token_counter(load_tokenizer(settings.generate.model))
