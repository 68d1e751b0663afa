"""Loads the models that make control maps: depth, semantic segmentation, controlnet-aux."""

from __future__ import annotations

import os
from typing import Any

from .load import CheckpointError, load_or_explain, load_pair
from .loaded_models import keepable


@keepable
def load_depth(ref: str | os.PathLike[str], *, device: str = "cpu") -> tuple[Any, Any]:
    """Load (model, processor) of a depth estimator (DPT, Depth Anything …), in float32."""
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    classes = AutoModelForDepthEstimation, AutoImageProcessor
    model, processor = load_pair(ref, "depth estimator", *classes)
    return model.to(device).eval(), processor


@keepable
def load_semantic(ref: str | os.PathLike[str], *, device: str = "cpu") -> tuple[Any, Any, Any]:
    """Load (model, processor, palette uint8 (classes, 3)) of a semantic segmenter for ADE20K."""
    import numpy as np
    from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

    aux = _import_aux("seg")
    classes = AutoModelForSemanticSegmentation, AutoImageProcessor
    model, processor = load_pair(ref, "semantic segmenter", *classes)
    palette = np.array(aux.util.ade_palette(), np.uint8)
    return model.to(device).eval(), processor, palette


ANNOTATORS = {
    "hed": "HEDdetector",
    "softedge": "PidiNetDetector",
    "lineart": "LineartDetector",
    "normal": "NormalBaeDetector",
}
"""Control → the class of controlnet-aux that makes its map."""


@keepable
def load_annotator(kind: str, ref: str | os.PathLike[str], *, device: str = "cpu") -> Any:
    """Load the preprocessor of controlnet-aux for a control such as "hed"."""
    aux = _import_aux(kind)

    def load(path: str, local: bool) -> Any:
        return getattr(aux, ANNOTATORS[kind]).from_pretrained(path)

    return load_or_explain(ref, load, whole=False).to(device)  # of the repository, one small file


def _import_aux(kind: str) -> Any:
    try:
        import controlnet_aux
        import controlnet_aux.util
    except ImportError:
        raise CheckpointError(
            f"control {kind!r} needs controlnet-aux, which is not installed: "
            "pip install 'product-visuals[aux]', or use canny, depth, tile or inpaint"
        ) from None
    return controlnet_aux
