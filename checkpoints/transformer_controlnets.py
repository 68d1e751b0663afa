"""Loads ControlNets of flow-matching families and builds the pipelines that they lead.

A `base` is a family's text-to-image pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import zimage_controlnet
from .identify import missing_files
from .identify.tensor_names import UnsuitableWeightsError

Config = Mapping[str, Any]
_VISION = ("feature_extractor", "image_encoder")
"""Parts of text-to-image pipelines for IP-Adapters, which the pipelines here do not take."""


@dataclass(frozen=True)
class _Kind:
    """How a family's ControlNets are read. `pipeline`: class of the pipeline that ControlNets
    lead, by their configuration; `several`: whether it takes more than one; `unfit`: why one cannot
    be used, "" where it can; `file`: reads one that is a single file."""

    name: str
    controlnet: str
    pipeline: Callable[[Config], str]
    several: bool = True
    left_out: tuple[str, ...] = ()
    unfit: Callable[[Config, Any], str] = lambda config, base: ""
    file: Callable[[Path, Any, Any], Any] | None = None


def _flux_modes(config: Config, base: Any) -> str:
    if config.get("num_mode") is None:
        return ""
    return (
        "a union ControlNet with modes is not read for FLUX.1; take one without, such as "
        "Shakker-Labs/FLUX.1-dev-ControlNet-Union-Pro-2.0"
    )


def _sd3_inputs(config: Config, base: Any) -> str:
    if not config.get("extra_conditioning_channels"):
        return ""
    return "it takes a masked picture, not a map; take one of canny or depth"


def _qwen_inputs(config: Config, base: Any) -> str:
    if not config.get("extra_condition_channels"):
        return ""
    return "it takes a masked picture, not a map; take one of maps, such as InstantX's union"


_KINDS = {
    "Flux": _Kind(
        "FLUX.1",
        "FluxControlNetModel",
        lambda config: "FluxControlNetInpaintPipeline",
        left_out=_VISION,
        unfit=_flux_modes,
    ),
    "QwenImage": _Kind(
        "Qwen-Image",
        "QwenImageControlNetModel",
        lambda config: "QwenImageControlNetPipeline",
        several=False,
        unfit=_qwen_inputs,
    ),
    "StableDiffusion3": _Kind(
        "Stable Diffusion 3",
        "SD3ControlNetModel",
        lambda config: "StableDiffusion3ControlNetPipeline",
        left_out=_VISION,
        unfit=_sd3_inputs,
    ),
    "ZImage": _Kind(
        "Z-Image",
        "ZImageControlNetModel",
        zimage_controlnet.pipeline,
        several=False,
        unfit=zimage_controlnet.unfit,
        file=zimage_controlnet.from_file,
    ),
}
"""By the beginning of the names of a family's pipelines."""


def _kind(base: Any) -> _Kind:
    return next(k for start, k in _KINDS.items() if type(base).__name__.startswith(start))


def described(name: str) -> str:
    """Return what the class of a ControlNet is, with its article."""
    if name in ("ControlNetModel", "ControlNetUnionModel"):
        return "a ControlNet of Stable Diffusion"
    family = next((k.name for k in _KINDS.values() if k.controlnet == name), "")
    return f"a ControlNet of {family}" if family else f"no ControlNet that is known ({name})"


def controlnet(path: str, base: Any, arguments: Mapping[str, Any]) -> Any:
    """Load a ControlNet for the family of `base`.

    Args:
        path: A folder, a repository or a file.
        base: The pipeline that it is to lead.
        arguments: Those of `from_pretrained`.

    Raises:
        UnsuitableWeightsError: It is of another family, or cannot be used with `base`.
    """
    import diffusers

    kind, place = _kind(base), Path(path)
    own = getattr(diffusers, kind.controlnet)
    file = place if place.is_file() else None
    if place.is_dir() and not (place / "config.json").is_file():
        file = next(iter(sorted(place.glob("*.safetensors"))), None)
    if file is not None:
        if kind.file is None:
            raise UnsuitableWeightsError(f"a ControlNet of {kind.name} is a folder or a repository")
        return kind.file(file, arguments["torch_dtype"], base)
    if place.is_dir():
        missing_files.require_model(place, "ControlNet")
    config = own.load_config(path, local_files_only=arguments["local_files_only"])
    if config.get("_class_name") != kind.controlnet:
        raise UnsuitableWeightsError(
            f"it is {described(str(config.get('_class_name')))}; expected one of {kind.name}, "
            "which the model that it is to lead is"
        )
    if why := kind.unfit(config, base):
        raise UnsuitableWeightsError(why)
    return own.from_pretrained(path, **arguments)


def inpainting(base: Any, nets: Sequence[Any]) -> Any:
    """Build the pipeline that ControlNets lead, which shares the models of `base`.

    Raises:
        UnsuitableWeightsError: The family does not take several.
    """
    import diffusers

    kind = _kind(base)
    if len(nets) > 1 and not kind.several:
        raise UnsuitableWeightsError(
            f"{kind.name} takes one control at a time; set rerender.controls to one"
        )
    pipeline = getattr(diffusers, kind.pipeline(nets[0].config))
    left_out = ("scheduler", *kind.left_out)
    return pipeline(
        **{name: part for name, part in base.components.items() if name not in left_out},
        scheduler=type(base.scheduler).from_config(base.scheduler.config),
        controlnet=nets[0] if len(nets) == 1 else list(nets),
    )
