"""Settings of `visuals dataset caption`."""

from __future__ import annotations

from pydantic import Field, model_validator

from .base import Section


class CaptionSettings(Section):
    """Captioning by BLIP. Tokens are those of its tokenizer, without the activation tag."""

    model: str = "Salesforce/blip-image-captioning-base"
    num_beams: int = Field(3, ge=1, le=32)
    min_tokens: int = Field(10, ge=1, le=500)
    max_tokens: int = Field(75, ge=1, le=500)
    batch_size: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _some_length_passes(self) -> CaptionSettings:
        if self.min_tokens > self.max_tokens:
            raise ValueError(
                f"caption.min_tokens {self.min_tokens} is above caption.max_tokens "
                f"{self.max_tokens}: expected at most that; swap them"
            )
        return self
