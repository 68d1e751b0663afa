"""Parts of Grounding DINO and MM-Grounding-DINO alone, with random weights."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
import transformers


def part(kind: str, name: str, config: dict[str, Any], **options: Any) -> Any:
    """The module `name` of "grounding" or "mm", in evaluation mode; its name begins as theirs."""
    family, prefix = {
        "grounding": ("grounding_dino", "GroundingDino"),
        "mm": ("mm_grounding_dino", "MMGroundingDino"),
    }[kind]
    models = import_module(f"transformers.models.{family}.modeling_{family}")
    torch.manual_seed(0)
    settings = getattr(transformers, f"{prefix}Config")(**config)
    made = getattr(models, prefix + name)(settings, **options).eval()
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    return made
