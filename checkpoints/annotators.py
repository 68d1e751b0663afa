"""How what makes control maps is loaded: depth, semantic segmentation, and controlnet-aux's nets.

Knows no stages and no settings; `load` is for the other models.
"""

from __future__ import annotations

import os
from typing import Any

from .load import CheckpointError, found, pair


def load_depth(ref: str | os.PathLike[str], *, device: str = "cpu") -> tuple[Any, Any]:
    """(model, processor) of a depth estimator (DPT, Depth Anything …), in float32."""
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    model, processor = pair(ref, AutoModelForDepthEstimation, AutoImageProcessor)
    return model.to(device).eval(), processor


def load_semantic(ref: str | os.PathLike[str], *, device: str = "cpu") -> tuple[Any, Any, Any]:
    """(model, processor, palette uint8 (classes, 3)) of a semantic segmenter for ADE20K."""
    import numpy as np
    from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

    aux = _aux("seg")
    model, processor = pair(ref, AutoModelForSemanticSegmentation, AutoImageProcessor)
    palette = np.array(aux.util.ade_palette(), np.uint8)
    return model.to(device).eval(), processor, palette


ANNOTATORS = {
    "hed": "HEDdetector",
    "softedge": "PidiNetDetector",
    "lineart": "LineartDetector",
    "normal": "NormalBaeDetector",
}
"""The class of controlnet-aux that makes each kind of map."""


def load_annotator(kind: str, ref: str | os.PathLike[str], *, device: str = "cpu") -> Any:
    """The preprocessor of controlnet-aux for a kind of control map."""
    aux = _aux(kind)

    def load(path: str, local: bool) -> Any:
        return getattr(aux, ANNOTATORS[kind]).from_pretrained(path)

    return found(ref, load).to(device)


def _aux(kind: str) -> Any:
    try:
        import controlnet_aux
        import controlnet_aux.util
    except ImportError:
        raise CheckpointError(
            f"control {kind!r} needs controlnet-aux, which is not installed: "
            "pip install 'visuals[aux]', or use canny, depth, tile or inpaint"
        ) from None
    return controlnet_aux
