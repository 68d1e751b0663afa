"""The models of a diffusion pipeline, in the groups that work at the same time."""

from __future__ import annotations

from typing import Any

from ..stage import Modules

_GROUPS = {
    "text_encoder": "prompt",
    "text_encoder_2": "prompt",
    "image_encoder": "prompt",
    "unet": "denoising",
    "controlnet": "denoising",
}
"""Parts of pipelines that work together; each other part, such as the VAE, works alone."""


def modules(pipe: Any) -> Modules:
    """The torch modules of a pipeline, a MultiControlNet's nets one by one."""
    import torch

    groups: dict[str, list[Any]] = {}
    for name, part in pipe.components.items():
        if isinstance(part, torch.nn.Module):
            groups.setdefault(_GROUPS.get(name, name), []).extend(getattr(part, "nets", [part]))
    return groups
