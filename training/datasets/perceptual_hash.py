"""Perceptual hash: finds duplicate pictures of any size and compression.

The usual DCT hash of 64 bits ("pHash") and, because a red and a blue shoe share it, the colours of
a coarse thumbnail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

NEAR = 6
"""Bits of 64 in which a picture and its smaller, recompressed copy may differ."""
_MAX_COLOUR_DIFFERENCE = 12.0
"""Mean difference of the thumbnails of copies, 0 to 255; measured: 1 to 4."""


@dataclass(frozen=True)
class Fingerprint:
    """`bits`: the hash; `colours`: uint8 (8, 8, 3), the thumbnail."""

    bits: int
    colours: np.ndarray

    @classmethod
    def of(cls, image: Image.Image) -> Fingerprint:
        """Of an RGB picture."""
        import cv2
        import numpy as np
        from PIL import Image as pil

        grey = image.convert("L").resize((32, 32), pil.Resampling.LANCZOS)
        low = cv2.dct(np.asarray(grey, np.float32))[:8, :8].ravel()
        text = "".join("1" if bit else "0" for bit in low > np.median(low))
        return cls(int(text, 2), np.asarray(image.resize((8, 8), pil.Resampling.BOX)))

    def like(self, other: Fingerprint, near: int = NEAR) -> bool:
        """Whether two pictures are duplicates; `near`: bits that may differ."""
        if (self.bits ^ other.bits).bit_count() > near:
            return False
        difference = abs(self.colours.astype(float) - other.colours.astype(float)).mean()
        return bool(difference <= _MAX_COLOUR_DIFFERENCE)


def first_like(
    fingerprint: Fingerprint, seen: Iterable[tuple[str, Fingerprint]], near: int = NEAR
) -> str | None:
    """Return the name of the first duplicate in `seen`, or None."""
    return next((name for name, other in seen if fingerprint.like(other, near)), None)
