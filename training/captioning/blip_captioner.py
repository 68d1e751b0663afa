"""BLIP captioner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


class Captioner:
    """Describes pictures in a sentence each, by beam search.

    Args:
        model: BlipForConditionalGeneration.
        processor: BlipProcessor.
        num_beams: Beams of the search.
        min_tokens: Least length of a caption, in tokens of the model.
        max_tokens: Greatest length; the defaults of both are those of the method's data set.
        batch_size: Pictures a forward pass.
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
        # the start token takes a position, and the model fails beyond its last position
        positions = model.config.text_config.max_position_embeddings - 1
        self.max_tokens = min(max_tokens, positions)
        self.min_tokens = min(min_tokens, self.max_tokens)

    def __call__(self, images: Sequence[Image.Image]) -> list[str]:
        """Return a caption for each RGB picture, in order."""
        import torch

        captions: list[str] = []
        weight = next(self.model.parameters())
        for k in range(0, len(images), self.batch_size):
            batch = list(images[k : k + self.batch_size])
            pixels = self.processor.image_processor(batch, return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                ids = self.model.generate(
                    pixel_values=pixels.to(weight.device, weight.dtype),
                    num_beams=self.num_beams,
                    do_sample=False,
                    min_new_tokens=self.min_tokens,
                    max_new_tokens=self.max_tokens,
                )
            texts = self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
            captions += [" ".join(text.split()) for text in texts]
        return captions
