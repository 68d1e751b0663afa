"""Loads what finds, masks and verifies with the transformers class that config.json asks for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from ...configs.errors import UsageError
from .missing_weights import load_whole

Classes = Mapping[str, tuple[str, str]]
"""`model_type` of config.json → names of the model class and the processor class."""

DETECTORS: Classes = {
    "grounding-dino": ("GroundingDinoForObjectDetection", "AutoProcessor"),
    "mm-grounding-dino": ("MMGroundingDinoForObjectDetection", "AutoProcessor"),
    "owlv2": ("Owlv2ForObjectDetection", "Owlv2Processor"),
    "sam3": ("Sam3Model", "Sam3Processor"),
    "sam3_video": ("Sam3Model", "Sam3Processor"),  # the model_type of facebook/sam3
}
SEGMENTERS: Classes = {
    "sam": ("SamModel", "SamProcessor"),
    "sam_hq": ("SamHQModel", "SamHQProcessor"),
    "sam2": ("Sam2Model", "Sam2Processor"),
    "sam2_video": ("Sam2Model", "Sam2Processor"),  # the model_type of facebook/sam2.1-*
    "sam3_tracker": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
    "sam3_video": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
}
_CLASSIFIERS = (
    *("beit", "bit", "convnext", "convnextv2", "deit", "dinov2", "efficientnet", "mobilenet_v2"),
    *("mobilevit", "regnet", "resnet", "swin", "swinv2", "vit"),
)
VERIFIERS: Classes = {
    "clip": ("CLIPModel", "CLIPProcessor"),
    **dict.fromkeys(_CLASSIFIERS, ("AutoModelForImageClassification", "AutoImageProcessor")),
}


class UnsupportedModelError(UsageError):
    """The checkpoint is of a model type that is not supported."""


def load(path: str, classes: Classes, role: str, *, local: bool) -> tuple[Any, Any]:
    """Load (model, processor) in float32. `role` is what the model is for, as in "detector"."""
    import torch
    import transformers

    config, _ = transformers.PretrainedConfig.get_config_dict(path, local_files_only=local)
    if not config:
        raise OSError(f"no config.json in {path}")
    found = config.get("model_type")
    if found not in classes:
        raise UnsupportedModelError(
            f"{path} is no {role}: its config.json says model_type {found!r}; expected one of "
            f"{', '.join(classes)}"
        )
    model_class, processor_class = (getattr(transformers, name, None) for name in classes[found])
    if model_class is None or processor_class is None:
        raise UnsupportedModelError(
            f"{path} is a {found}, unknown to the installed transformers "
            f"{transformers.__version__}; pip install -U transformers"
        )
    with warnings.catch_warnings():  # advice on CUDA kernels that a user cannot follow
        warnings.filterwarnings("ignore", "You'd better set embed_dim", UserWarning)
        return load_whole(model_class, processor_class, path, local, torch.float32, role)
