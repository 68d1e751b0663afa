"""Fingerprints of pictures: those of copies are alike, whatever their size and compression.

The usual DCT hash of 64 bits ("pHash") and, since a red and a blue shoe share it, the colours of
a coarse thumbnail. Knows no files.
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
_COLOURS_APART = 12.0  # mean difference of thumbnails, 0 to 255; copies have 1 to 4


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
        """Whether two pictures are copies of each other; `near`: bits that may differ."""
        if (self.bits ^ other.bits).bit_count() > near:
            return False
        apart = abs(self.colours.astype(float) - other.colours.astype(float)).mean()
        return bool(apart <= _COLOURS_APART)


def first_like(
    print_: Fingerprint, seen: Iterable[tuple[str, Fingerprint]], near: int = NEAR
) -> str | None:
    """The name of the first of `seen` that this is a copy of."""
    return next((name for name, other in seen if print_.like(other, near)), None)
