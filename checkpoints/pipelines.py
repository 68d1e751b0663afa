"""Builds diffusers pipelines from folders and the hub; those of Stable Diffusion 1.x and SDXL also
from one file.

`load` resolves the paths and explains the errors. In each function `path` is a folder, a repository
or a file; `local` keeps it off the network; `dtype` is that of the weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import reference_configs, single_file, transformer_controlnets
from .hub.pull import variant_of
from .identify import missing_files, missing_weights
from .identify.base_family import pipeline_class
from .identify.model_kind import misfit
from .identify.tensor_names import UnsuitableWeightsError, checkpoint_family, read_shapes

_MARKS = (
    ("v_pred", "prediction_type", "v_prediction"),
    ("ztsnr", "rescale_betas_zero_snr", True),
)
"""Tensors that say how the model of a single file was trained, by their mere names."""


def is_xl(pipe: Any) -> bool:
    """Return whether a pipeline is of the SDXL family."""
    return type(pipe).__name__.startswith("StableDiffusionXL")


def text_to_image(path: str, local: bool, dtype: Any, vae: Any = None) -> Any:
    """Load the pipeline that a folder's model_index.json names, or that a file holds.

    Raises:
        UnsuitableWeightsError: The model is of another kind.
    """
    _require_kind(path, "text-to-image")
    return _pipeline(path, local, dtype, **({} if vae is None else {"vae": vae}))


def redrawing(path: str, local: bool, dtype: Any, method: str) -> Any:
    """Load the pipeline of a folder for a `rerender.method` that has models of its own.

    Raises:
        UnsuitableWeightsError: It is of another kind.
    """
    _require_kind(path, method)
    return _pipeline(path, local, dtype)


def refiner(path: str, local: bool, dtype: Any, base: Any) -> Any:
    """Load an SDXL refiner that shares the second text encoder and the VAE of `base`."""
    if not is_xl(base):
        raise UnsuitableWeightsError("a refiner needs an SDXL base, and generate.model is none")
    _require_kind(path, "refiner")
    return _pipeline(path, local, dtype, text_encoder_2=base.text_encoder_2, vae=base.vae)


def _require_kind(path: str, wanted: str) -> None:
    """Raise UnsuitableWeightsError for a model of another kind, before it is read."""
    if why := misfit(path, wanted):
        raise UnsuitableWeightsError(f"{why}; name another model")


def _pipeline(path: str, local: bool, dtype: Any, **given: Any) -> Any:
    import diffusers

    if Path(path).is_file():
        pipe = _from_file(Path(path), dtype, **given)
    else:
        if local:
            missing_files.require_pipeline(Path(path), without=given)
        name = pipeline_class(path)
        kind = getattr(diffusers, name if name.startswith("Flux") else "DiffusionPipeline")
        pipe = kind.from_pretrained(path, **_arguments(path, local, dtype), **given)
        if local:
            missing_weights.require_vocabularies(pipe, Path(path))
    missing_weights.require_components(pipe)
    return pipe


def _arguments(path: str, local: bool, dtype: Any) -> dict[str, Any]:
    """Return the arguments of every `from_pretrained`."""
    return {
        "torch_dtype": dtype,
        "local_files_only": local,
        "use_safetensors": True,
        "variant": variant_of(path),
    }


def _from_file(path: Path, dtype: Any, **given: Any) -> Any:
    import diffusers

    with tempfile.TemporaryDirectory() as place:
        family = checkpoint_family(path)
        marks = {key: value for mark, key, value in _MARKS if mark in read_shapes(path)}
        reference_configs.write(family, Path(place), scheduler=marks)
        index = reference_configs.read(family)["model_index.json"]
        pipeline = getattr(diffusers, index["_class_name"])
        return pipeline.from_single_file(
            str(path), config=place, torch_dtype=dtype, local_files_only=True, **given
        )


def autoencoder(
    path: str, local: bool, dtype: Any, replaced_config: Callable[[], Mapping[str, Any]]
) -> Any:
    """Load an AutoencoderKL or AutoencoderTiny; a file, which holds no configuration, with that of
    the VAE which it replaces."""
    import diffusers
    from diffusers import AutoencoderKL

    if Path(path).is_file():
        return single_file.autoencoder(Path(path), replaced_config(), dtype)
    if local:
        _require_kind(path, "vae")
        missing_files.require_model(Path(path), "VAE")
    config = AutoencoderKL.load_config(path, local_files_only=local)
    name = config.get("_class_name", "AutoencoderKL")
    if name not in ("AutoencoderKL", "AutoencoderTiny"):
        raise UnsuitableWeightsError(
            f"it is another kind of VAE ({name}); expected one of Stable Diffusion, such as taesd"
        )
    _require_same_latents(config, replaced_config())
    vae = getattr(diffusers, name).from_pretrained(path, **_arguments(path, local, dtype))
    missing_weights.require_loaded(vae, "VAE")
    return vae


def _require_same_latents(config: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise UnsuitableWeightsError for a VAE that cannot stand in for a model's `own`."""
    kind = own.get("_class_name", "AutoencoderKL")
    if kind not in ("AutoencoderKL", "AutoencoderTiny"):
        raise UnsuitableWeightsError(f"the model's own VAE is another kind ({kind}), which stays")
    got, expected = (values.get("latent_channels", 4) for values in (config, own))
    if got != expected:
        raise UnsuitableWeightsError(
            f"its latents have {got} channels, those of the model {expected}; expected a VAE of "
            "the model's family"
        )


def vae_config(path: str, local: bool) -> Mapping[str, Any]:
    """Return the configuration of a text-to-image model's own VAE."""
    from diffusers import AutoencoderKL

    if Path(path).is_file():
        return reference_configs.components(checkpoint_family(Path(path)))["vae"]
    config: Mapping[str, Any] = AutoencoderKL.load_config(
        path, subfolder="vae", local_files_only=local
    )
    return config


def controlnet(path: str, local: bool, dtype: Any, base: Any) -> Any:
    """Load a ControlNet or a union ControlNet (ControlNet++), which its config.json may not call
    one."""
    if Path(path).is_dir():  # a file is told by its tensors
        _require_kind(path, "controlnet")
    if hasattr(base, "transformer"):
        net = transformer_controlnets.controlnet(path, base, _arguments(path, local, dtype))
    elif Path(path).is_file():
        return single_file.controlnet(Path(path), base.unet, dtype)
    else:
        net = _controlnet_of_folder(path, local, dtype, base)
    missing_weights.require_loaded(net, "ControlNet")
    return net


def _controlnet_of_folder(path: str, local: bool, dtype: Any, base: Any) -> Any:
    from diffusers import ControlNetModel, ControlNetUnionModel

    if local:
        missing_files.require_model(Path(path), "ControlNet")
    config = ControlNetModel.load_config(path, local_files_only=local)
    kind = config.get("_class_name", "ControlNetModel")
    if not kind.startswith("ControlNet"):
        raise UnsuitableWeightsError(
            f"it is {transformer_controlnets.described(kind)}; expected one of Stable Diffusion, "
            "which the model that it is to lead is"
        )
    single_file.require_width({config.get("cross_attention_dim")}, base.unet)
    arguments = _arguments(path, local, dtype)
    if "num_control_type" in config:
        return ControlNetUnionModel.from_pretrained(path, **arguments)
    files = Path(path).glob("*.safetensors")
    shapes = {name: shape for file in files for name, shape in read_shapes(file).items()}
    if single_file.UNION not in shapes:
        return ControlNetModel.from_pretrained(path, **arguments)
    settings = single_file.union_settings(shapes)
    return ControlNetUnionModel.from_pretrained(path, **settings, **arguments)


def use_channels_last(model: Any) -> None:
    """On a CPU, store the weights of a VAE or ControlNet with channels last.

    That takes a fifth to two fifths off the time of their convolutions. A UNet gains nothing.
    """
    import torch

    flat = all(weight.ndim < 5 for weight in model.parameters())  # a VAE of films has no such form
    if model.device.type == "cpu" and flat:
        model.to(memory_format=torch.channels_last)


def is_union(net: Any) -> bool:
    """Return whether a ControlNet takes maps of many kinds, told apart by a mode."""
    return "num_control_type" in getattr(net, "config", {})


def inpainting(base: Any, nets: Sequence[Any]) -> Any:
    """Build the ControlNet inpainting pipeline of a base, which shares the base's models.

    Raises:
        UnsuitableWeightsError: A union ControlNet is combined with others or with SD 1.x, or the
            family does not take several.
    """
    pipe = (
        transformer_controlnets.inpainting(base, nets)
        if hasattr(base, "transformer")
        else _stable_diffusion_inpainting(base, nets)
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _stable_diffusion_inpainting(base: Any, nets: Sequence[Any]) -> Any:
    import diffusers

    union = any(is_union(net) for net in nets)
    if union and len(nets) > 1:
        raise UnsuitableWeightsError(
            "a union ControlNet excludes others: name the same model for each of rerender.controls"
        )
    shared = {k: v for k, v in base.components.items() if k != "scheduler"}
    rest: Mapping[str, Any] = {"requires_safety_checker": False}
    name = "StableDiffusionControlNetInpaintPipeline"
    if is_xl(base):
        name = f"StableDiffusionXLControlNet{'Union' if union else ''}InpaintPipeline"
        zeros = base.config.get("force_zeros_for_empty_prompt", True)
        rest = {"force_zeros_for_empty_prompt": zeros}
    elif union:
        raise UnsuitableWeightsError("a union ControlNet is for SDXL, and generate.model is none")
    return getattr(diffusers, name)(
        **shared,
        scheduler=type(base.scheduler).from_config(base.scheduler.config),
        controlnet=nets[0] if len(nets) == 1 else list(nets),
        **rest,
    )
