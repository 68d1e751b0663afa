"""Z-Image's union ControlNets: which can be used, and those that are one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import single_file
from .identify.tensor_names import Shapes, UnsuitableWeightsError, read_shapes

_EMBEDDER = "control_all_x_embedder.2-1.weight"
_REFINER = "control_noise_refiner.0.before_proj.weight"
_PLACES = {6: range(0, 30, 5), 15: range(0, 30, 2)}
"""Number of control layers of the published files → layers of the model that they act on."""
_CHANNELS = 33
"""Of the maps of those that see the masked picture: map, mask and masked picture."""


def pipeline(config: Mapping[str, Any]) -> str:
    """The pipeline of diffusers: versions from 2.0 on see the masked picture too."""
    return f"ZImageControlNet{'Inpaint' if config['control_in_dim'] == _CHANNELS else ''}Pipeline"


def unfit(config: Mapping[str, Any], base: Any) -> str:
    """Why a ControlNet cannot be used with a pipeline, or ""."""
    got, wanted = config.get("dim"), base.transformer.config.dim
    return "" if got == wanted else f"it is {got} wide, and generate.model {wanted}"


def from_file(path: Path, dtype: Any, base: Any) -> Any:
    """Load the ControlNet of a file, whose configuration its shapes tell.

    Raises:
        UnsuitableWeightsError: It is another model.
    """
    from diffusers import ZImageControlNetModel

    shapes = read_shapes(path)
    if _EMBEDDER not in shapes:
        raise UnsuitableWeightsError("it is no ControlNet of Z-Image; expected its weights")
    layers = _count(shapes, "control_layers")
    if layers not in _PLACES:
        raise UnsuitableWeightsError(
            f"it has {layers} control layers; expected {' or '.join(map(str, _PLACES))}, or a "
            "folder with its config.json"
        )
    width, inputs = shapes[_EMBEDDER]
    own = base.transformer.config
    config = {
        "control_layers_places": list(_PLACES[layers]),
        "control_refiner_layers_places": [0, 1],
        "control_in_dim": inputs // 4,  # patches of 2 × 2
        "add_control_noise_refiner": _refiner(path, layers),
        "dim": width,
        "n_refiner_layers": _count(shapes, "control_noise_refiner") or own.n_refiner_layers,
        **{name: own[name] for name in ("n_heads", "n_kv_heads", "norm_eps", "qk_norm")},
    }
    if why := unfit(config, base):
        raise UnsuitableWeightsError(why)
    return single_file.load_renamed(ZImageControlNetModel, path, config, dtype, "ControlNet")


def _count(shapes: Shapes, name: str) -> int:
    return len({key.split(".")[1] for key in shapes if key.startswith(f"{name}.")})


def _refiner(path: Path, layers: int) -> str | None:
    """What leads the model's noise refiner. Version 2.0 wrote weights for it that it does not use,
    beginning with zeros; version 1 has nothing for it."""
    from safetensors import safe_open

    if layers == min(_PLACES):
        return None
    with safe_open(path, "pt") as file:
        used = _REFINER in file.keys() and bool(file.get_tensor(_REFINER).any())  # noqa: SIM118
    return "control_noise_refiner" if used else "control_layers"
