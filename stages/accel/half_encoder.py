"""Runs the vision encoder of a SAM in half precision: half the memory, and twice the speed or more
on a GPU.

That is nearly all of its work. The prompt encoder and the mask decoder stay in float32, in which a
box's place is exact; masks stay the same (IoU at least 0.99).
"""

from __future__ import annotations

from typing import Any

from . import patching
from .patching import Forward, Patch

_ENCODERS = ("SamVisionEncoder", "SamHQVisionEncoder")


def apply(model: Any, dtype: Any) -> None:
    """Let the encoder of a SAM or SAM-HQ in float32 compute in `dtype`, by autocast. Other models
    are left alone."""
    remove(model)
    patching.install(model, [Patch(_ENCODERS, "pixel_values, kwargs", lambda m: _in(m, dtype))])


def remove(model: Any) -> None:
    """Undo `apply`."""
    patching.remove(model)


def _in(encoder: Any, dtype: Any) -> Forward:
    import torch

    original = encoder.forward

    def forward(pixel_values: Any = None, **options: Any) -> Any:
        with torch.autocast(pixel_values.device.type, dtype=dtype):
            out = original(pixel_values, **options)
        for name, value in out.items():
            out[name] = [v.float() for v in value] if isinstance(value, list) else value.float()
        return out

    return forward
