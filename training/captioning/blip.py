"""Captions of pictures by a BLIP. Knows no files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


class Captioner:
    """Describes pictures in a sentence each, by beam search.

    `model`, `processor`: BlipForConditionalGeneration and BlipProcessor; `min_tokens`,
    `max_tokens`: of the answer, in the model's own tokens.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        num_beams: int = 3,
        min_tokens: int = 10,
        max_tokens: int = 75,
        batch_size: int = 8,
    ) -> None:
        self.model, self.processor = model, processor
        self.num_beams, self.batch_size = num_beams, batch_size
        # the start mark takes a place, and where the places end the model breaks
        places = model.config.text_config.max_position_embeddings - 1
        self.max_tokens = min(max_tokens, places)
        self.min_tokens = min(min_tokens, self.max_tokens)

    def __call__(self, images: Sequence[Image.Image]) -> list[str]:
        """A caption for each RGB picture, in order; at most `batch_size` go through at once."""
        import torch

        captions: list[str] = []
        where = next(self.model.parameters())
        for k in range(0, len(images), self.batch_size):
            batch = list(images[k : k + self.batch_size])
            pixels = self.processor.image_processor(batch, return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                ids = self.model.generate(
                    pixel_values=pixels.to(where.device, where.dtype),
                    num_beams=self.num_beams,
                    do_sample=False,
                    min_new_tokens=self.min_tokens,
                    max_new_tokens=self.max_tokens,
                )
            texts = self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
            captions += [" ".join(text.split()) for text in texts]
        return captions
