"""Loads a VAE or ControlNet that is one `.safetensors` file, as in A1111's models folders.

The tensor names are those of the original code or of diffusers. Such a file holds no
configuration: that of the base model's VAE is used, or one derived from its UNet. `load`
resolves the paths and explains the errors.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..configs.errors import is_out_of_memory, one_line
from .identify.missing_weights import require_all
from .identify.tensor_names import (
    Shapes,
    UnsuitableWeightsError,
    attention_widths,
    describe_weights,
    read_shapes,
)

WEIGHTS = "diffusion_pytorch_model.safetensors"
UNION = "task_embedding"
"""The tensor that union ControlNets have and others do not."""
_HINT = "controlnet_cond_embedding.conv_in.weight"
_HINTS = {"input_hint_block.0.weight", "control_model.input_hint_block.0.weight"}
_LABELS = {"label_emb.0.0": "add_embedding.linear_1", "label_emb.0.2": "add_embedding.linear_2"}


def autoencoder(path: Path, config: Mapping[str, Any], dtype: Any) -> Any:
    """Load the AutoencoderKL of a file, with the configuration of the VAE that it replaces.

    From a whole checkpoint its VAE is taken. Raises UnsuitableWeightsError for another model.
    """
    from diffusers import AutoencoderKL

    shapes = read_shapes(path)
    starts = {"", *(f"{start}." for start in ("first_stage_model", "vae"))}
    if not any(f"{start}decoder.conv_in.weight" in shapes for start in starts):
        raise UnsuitableWeightsError(f"it is {describe_weights(shapes)}; expected a VAE's weights")
    if config.get("_class_name", "AutoencoderKL") != "AutoencoderKL":
        raise UnsuitableWeightsError(
            "the model's own VAE is a tiny one; a file can only replace a full one"
        )
    renamed = "decoder.mid_block.resnets.0.conv1.weight" in shapes
    load = load_renamed if renamed else _load_original
    return load(AutoencoderKL, path, config, dtype, "VAE")


def controlnet(path: Path, unet: Any, dtype: Any) -> Any:
    """Load the ControlNet or union ControlNet of a file for a base with this `unet`.

    Raises UnsuitableWeightsError for another model, and for one trained for another base.
    """
    from diffusers import ControlNetModel, ControlNetUnionModel

    shapes = read_shapes(path)
    if _HINT not in shapes and not _HINTS & set(shapes):
        raise UnsuitableWeightsError(
            f"it is {describe_weights(shapes)}; expected a ControlNet's weights"
        )
    require_width(set(attention_widths(shapes)), unet)
    union = UNION in shapes
    kind = ControlNetUnionModel if union else ControlNetModel
    if _HINT not in shapes:
        return _load_original(kind, path, _configuration(kind, unet), dtype, "ControlNet")
    config = _as_built(_configuration(kind, unet), shapes)
    if union:
        config |= union_settings(shapes)
    return load_renamed(kind, path, config, dtype, "ControlNet")


def require_width(got: set[int], unet: Any) -> None:
    """Raise UnsuitableWeightsError if a ControlNet reads text features of another width."""
    wanted = unet.config.cross_attention_dim
    if got - {wanted}:
        raise UnsuitableWeightsError(
            f"it was made for another base: text features of {min(got - {wanted})}, and the "
            f"model's have {wanted}"
        )


def _configuration(kind: Any, unet: Any) -> dict[str, Any]:
    """Return the configuration of a ControlNet for this UNet."""
    import torch

    with torch.device("meta"):
        config = kind.from_unet(unet, load_weights_from_unet=False).config
    # `_use_default_values` would have the values that it names ignored.
    return {name: value for name, value in config.items() if not name.startswith("_")}


def _as_built(config: dict[str, Any], shapes: Shapes) -> dict[str, Any]:
    """Adjust a configuration to the attention layers in the file: small ControlNets of SDXL have
    fewer than the UNet. Those of the original code have as many."""

    def depth(block: str) -> int:
        name = re.compile(rf"{block}\.attentions\.0\.transformer_blocks\.(\d+)\.")
        return max((int(m[1]) + 1 for m in map(name.match, shapes) if m), default=0)

    depths = [depth(rf"down_blocks\.{i}") for i in range(len(config["block_out_channels"]))]
    middle = depth("mid_block")
    types = ["CrossAttnDownBlock2D" if d else "DownBlock2D" for d in depths]
    layers = [max(1, d) for d in depths]
    layers[-1] = middle or layers[-1]
    out = {**config, "down_block_types": types, "transformer_layers_per_block": layers}
    if not middle and "mid_block_type" in config:
        out["mid_block_type"] = "UNetMidBlock2D"
    hints = sorted(n for n in shapes if re.match(r"controlnet_cond_embedding\.blocks\.\d+\.w", n))
    first, last = shapes[_HINT], shapes.get("controlnet_cond_embedding.conv_out.weight", (0, 0))
    out["conditioning_channels"] = first[1]
    # A pair of convolutions connects each width with the next.
    widths = [shapes[n][1] for n in sorted(hints, key=lambda n: int(n.split(".")[2]))][::2]
    out["conditioning_embedding_out_channels"] = [*widths, last[1]]
    return out


def union_settings(shapes: Shapes) -> dict[str, Any]:
    """Return what the configuration of a union ControlNet has beside a ControlNet's."""
    count, width = shapes[UNION]
    layers = {name.split(".")[1] for name in shapes if name.startswith("transformer_layes.")}
    return {
        "num_control_type": count,
        "num_trans_channel": width,
        "num_trans_layer": len(layers),
        "num_proj_channel": shapes["spatial_ch_projs.weight"][0],
    }


def _load_original(kind: Any, path: Path, config: Mapping[str, Any], dtype: Any, what: str) -> Any:
    """Load tensors with the names of the original code, renamed by diffusers' functions.

    Its `from_single_file` does not report missing weights.
    """
    from accelerate import init_empty_weights
    from diffusers.loaders import single_file_utils as names
    from safetensors.torch import load_file

    state = load_file(path)
    convert = names.convert_ldm_vae_checkpoint if what == "VAE" else _rename_controlnet
    try:
        with init_empty_weights():
            model = kind.from_config(dict(config))
        weights = {k: v for k, v in convert(state, config).items() if v is not None}
        lacking = sorted(set(model.state_dict()) - set(weights))
        if not lacking:
            model.load_state_dict(weights, strict=False, assign=True)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _misfit(what, error) from error
    require_all(lacking, what)
    return model.to(dtype).eval()


def _rename_controlnet(state: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Rename a ControlNet's weights to diffusers' names, with SDXL's size embedding, which
    diffusers leaves out."""
    from diffusers.loaders import single_file_utils as names

    out: dict[str, Any] = names.convert_controlnet_checkpoint(state, config)
    for name, value in state.items():
        place, _, last = name.removeprefix("control_model.").rpartition(".")
        if place in _LABELS:
            out[f"{_LABELS[place]}.{last}"] = value
    return out


def load_renamed(kind: Any, path: Path, config: Mapping[str, Any], dtype: Any, what: str) -> Any:
    """Load tensors with diffusers' names, from a temporary folder that links to the file."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "config.json").write_text(json.dumps(dict(config)))
        _link(path.resolve(), Path(place) / WEIGHTS)
        try:
            model, report = kind.from_pretrained(
                place,
                torch_dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
            raise _misfit(what, error) from error
    require_all(sorted(report["missing_keys"]), what)
    return model


def _link(file: Path, place: Path) -> None:
    try:
        place.symlink_to(file)
    except OSError:  # Windows without developer mode
        shutil.copyfile(file, place)


def _misfit(what: str, error: Exception) -> Exception:
    """The error for weights that a model refused; lack of memory is told as it is."""
    if is_out_of_memory(error):
        return error
    reason = one_line(error)[:160]
    return UnsuitableWeightsError(
        f"its weights do not fit the model's {what} ({reason}); name one made for this base"
    )
