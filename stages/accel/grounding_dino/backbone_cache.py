"""Runs Grounding DINO's backbone once per picture, however many phrases are asked of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from ..patching import Forward, Patch

_THREAD = threading.local()
"""`features`: of the `shared` block in this thread, by the pixels' id; None outside of one."""


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Within the block, in this thread, a patched backbone computes features once per tensor of
    pixels."""
    _THREAD.features = {}
    try:
        yield
    finally:
        _THREAD.features = None


def _cached(backbone: Any) -> Forward:
    original = backbone.forward

    def forward(pixel_values: Any, pixel_mask: Any) -> Any:
        cache = getattr(_THREAD, "features", None)
        if cache is None:
            return original(pixel_values, pixel_mask)
        entry = cache.get(id(pixel_values))
        if entry is None:
            # Holding the pixels themselves keeps their id from being given to another tensor.
            entry = cache[id(pixel_values)] = pixel_values, original(pixel_values, pixel_mask)
        features, positions = entry[1]
        return list(features), list(positions)  # the model appends to them

    return forward


PATCH = Patch(
    ("GroundingDinoConvModel", "MMGroundingDinoConvModel"),
    "pixel_values, pixel_mask",
    _cached,
)
