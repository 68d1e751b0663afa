"""Loads models for stage 3 alone: edit models, and inpainting models that need no ControlNet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from . import pipelines, stored_weights
from .load import load_or_explain
from .loaded_models import keepable

if TYPE_CHECKING:
    import torch


@keepable
def load_redrawing_model(
    ref: str | os.PathLike[str],
    method: str,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    weights: stored_weights.Weights = "full",
) -> Any:
    """Load one of `model_kind.STAGE_3_METHODS`, such as a FluxKontextPipeline.

    Args:
        ref: A name, folder or repository.
        method: The `rerender.method` that it is for.
        device: Where to load it.
        dtype: Of its weights; None for float32.
        weights: How they are stored; see `stored_weights`.
    """
    import torch

    kind = dtype or torch.float32
    pipe = load_or_explain(ref, lambda p, here: pipelines.redrawing(p, here, kind, method))
    stored_weights.apply(pipe, weights, kind)
    pipe = pipe.to(device)
    pipelines.use_channels_last(pipe.vae)
    pipe.set_progress_bar_config(disable=True)
    return pipe
