"""Reads the weights of a LoRA file, named for diffusers' loader and scaled.

Every matrix B is multiplied by alpha / rank (by alpha / √rank with PEFT's `use_rslora`), so that
no loader has to guess; a missing alpha or 0 means the rank. diffusers' converters rename most
weights; this module handles the names that they miss.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.errors import one_line
from ..formats import safetensors_header
from ..identify.base_family import base_of_pipeline
from . import lycoris, transformer_names
from .file import BESIDE, HALF, LoraFile, LoraFileError, alpha_config, part_of, read

if TYPE_CHECKING:
    import torch

_HALVES = re.compile(
    r"[._](lora_(?:A|B|down|up)|lora\.(?:down|up)|lora_linear_layer\.(?:down|up))\.(?:weight|bias)$"
)
_TEXT = re.compile(r"(text_encoder(?:_2)?\.)(?!text_model|text_projection)")


def load(file: LoraFile, pipe: Any) -> dict[str, torch.Tensor]:
    """Return weights by the names that `pipe.load_lora_weights` takes, in its denoiser's
    dtype.

    Raises LoraFileError.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        raw = load_file(file.path)
        head = safetensors_header.read(file.path)
    except (SafetensorError, safetensors_header.HeaderError, OSError) as error:
        raise LoraFileError(f"cannot read LoRA {file.path}: {error}; download it again") from None
    others = {m: names for m, names in lycoris.modules(raw).items() if part_of(m)}
    out, products = _matrices(file, raw, alpha_config(head), others)
    dtype = (
        getattr(pipe, "unet", None) or pipe.transformer
    ).dtype  # once: it walks all modules of the model
    out = {key: value.to(dtype).contiguous() for key, value in out.items()}
    marks: dict[int, tuple[torch.Tensor, str, bool]] = {}  # they hold the places through renaming
    for module in others:
        name = _renamed(module)
        for half, is_down in zip(_halves(name), (True, False), strict=True):
            mark = out[f"{name}.{half}.weight"] = torch.zeros(1)
            marks[id(mark)] = mark, module, is_down
    out |= _of_onetrainer(pipe, out)
    kohya = {key: out.pop(key) for key in list(out) if key.startswith("lora_unet_")}
    if kohya:
        try:
            out |= _by_diffusers_names(pipe, kohya)
        except (ValueError, KeyError, IndexError, AssertionError, RuntimeError) as error:
            what = one_line(error)[:200] or "sizes of another model"
            raise LoraFileError(
                f"LoRA {file.path}: names of no known layout: {what}; expected a LoRA of the "
                "model's base"
            ) from error
    for key, value in list(out.items()):
        layer = _layer(pipe, key) if _HALVES.search(key) else None
        _, module, is_down = marks.get(id(value), (None, "", False))
        if layer is not None and key == "transformer.x_embedder.lora_A.weight":
            # FLUX.1 Fill takes in what FLUX.1 does, and after that the scene.
            more = max(0, layer.in_features - value.shape[-1])
            value = out[key] = torch.nn.functional.pad(value, (0, more))
        if layer is None:
            if module:
                del out[key]  # the model has no such layer
        elif module and is_down:  # B·A is ΔW in the form identity · ΔW
            tensors = {name: raw[f"{module}.{name}"] for name in others[module]}
            tensors["alpha"] = raw.get(f"{module}.alpha", torch.zeros(1))
            out[key] = _change(file, module, tensors, layer, products.get(module)).to(dtype)
        elif module:
            size, ends = len(layer.weight), [1] * (layer.weight.ndim - 2)
            out[key] = torch.eye(size).reshape(-1, size, *ends).to(dtype)
        elif key.endswith("weight") and not _fits(key, value, _shape(layer)):
            raise LoraFileError(
                f"LoRA {file.path}: {key} has the shape {list(value.shape)}, the model's layer "
                f"{list(_shape(layer))}; expected a LoRA of its base"
            )
    for key, value in out.items():
        if not value.isfinite().all():
            raise LoraFileError(
                f"LoRA {file.path}: {key} holds NaN, infinity or more than {dtype} can; train it "
                "again"
            )
    return out


def of_file(path: Path, pipe: Any) -> dict[str, torch.Tensor]:
    """Return the weights of a file as `load` does.

    Raises LoraFileError, WrongBaseError.
    """
    file = read(path)
    file.require_fit(base_of_pipeline(pipe), "the model")
    return load(file, pipe)


def _by_diffusers_names(pipe: Any, kohya: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """Kohya's weights of a denoiser by diffusers' names. A UNet's take its whole layout: SDXL's
    files count its blocks as the original code does."""
    if hasattr(pipe, "unet"):
        return pipe.lora_state_dict(kohya, unet_config=pipe.unet.config)[0]  # type: ignore[no-any-return]
    if transformer_names.family(kohya) == "SD 3":  # diffusers does not know them
        return transformer_names.of_sd3(kohya)
    return pipe.lora_state_dict(kohya)  # type: ignore[no-any-return]


def _of_onetrainer(pipe: Any, out: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take the weights in OneTrainer's names from `out`; return them by diffusers' names, without
    those of modules that the model has not."""
    start, ends = "lora_transformer_", {"lora_down": "lora_A", "lora_up": "lora_B"}
    taken = {key: out.pop(key) for key in list(out) if key.startswith(start)}
    names: dict[str, str] = {}
    if taken and hasattr(pipe, "transformer"):
        names = {name.replace(".", "_"): name for name, _ in pipe.transformer.named_modules()}
    found = {}
    for key, value in taken.items():
        module, half, kind = key.removeprefix(start).split(".")
        if module in names:
            found[f"transformer.{names[module]}.{ends[half]}.{kind}"] = value
    return found


def _shape(layer: Any) -> tuple[int, ...]:
    """The shape of a layer's weight, which in 4 bits is stored in another."""
    linear = hasattr(layer, "in_features")
    return (layer.out_features, layer.in_features) if linear else tuple(layer.weight.shape)


def _fits(key: str, value: torch.Tensor, shape: tuple[int, ...]) -> bool:
    """Whether a matrix has the inputs or the outputs of a layer of this shape."""
    if value.ndim != len(shape):
        return False
    is_down = re.search(r"(lora_A|down)\.weight$", key)
    return value.shape[1:] == shape[1:] if is_down else value.shape[0] == shape[0]


def _matrices(
    file: LoraFile,
    raw: Mapping[str, torch.Tensor],
    config: Mapping[str, dict[str, Any]],
    others: Collection[str],
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The matrices of each module, scaled, by their names in diffusers, and the product of the
    two for modules in `others`, which have more than these."""
    import torch

    modules: dict[str, dict[str, str]] = {}
    for key in raw:
        found = HALF.fullmatch(key)
        if found and part_of(found["module"]):
            half = {"A": "down", "B": "up"}.get(found["half"], found["half"])
            name = f"{half}.bias" if found["kind"] == "bias" else half
            modules.setdefault(found["module"], {})[name] = key
    out, products = {}, {}
    for module, keys in modules.items():
        if "down" not in keys or "up" not in keys:
            raise LoraFileError(
                f"cannot read LoRA {file.path}: {module} lacks its up or down matrix; "
                "download it again"
            )
        down, up = raw[keys["down"]].float(), raw[keys["up"]].float()
        mid = raw[keys["mid"]].float() if "mid" in keys else None
        kernel = mid is None or (mid.ndim == down.ndim == 4 and max(mid.shape[2:]) <= 3)
        if up.shape[1] != (down if mid is None else mid).shape[0] or not kernel:
            raise LoraFileError(
                f"LoRA {file.path}: the matrices of {module} do not fit each other; download it "
                "again"
            )
        scale = _scale(module, down.shape[0], raw.get(f"{module}.alpha"), config)
        if mid is not None:  # LyCORIS' Tucker form: one r × r kernel between the two
            down = torch.einsum("m n k l, n i -> m i k l", mid, down[:, :, 0, 0])
        if module in others:  # DoRA
            products[module] = (up.flatten(1) @ down.flatten(1)) * scale
            continue
        name = _renamed(module)
        halves = _halves(name)
        out[f"{name}.{halves[0]}.weight"] = down
        out[f"{name}.{halves[1]}.weight"] = up * scale
        if "up.bias" in keys:
            out[f"{name}.{halves[1]}.bias"] = raw[keys["up.bias"]].float() * scale
    for key, value in raw.items():
        # DoRA in diffusers' names, which it reads itself
        found = BESIDE.fullmatch(key) if "lora_magnitude_vector" in key else None
        if found and found["module"] in modules:
            out[_renamed(key).replace(".default.", ".")] = value.float()
    return out, products


def _change(
    file: LoraFile, module: str, tensors: Mapping[str, torch.Tensor], layer: Any, product: Any
) -> torch.Tensor:
    """What the tensors of a module of LyCORIS' kinds add to a layer's weight."""
    try:
        return lycoris.change(tensors, layer.weight.detach().float(), product)
    except (ValueError, KeyError, RuntimeError) as error:
        raise LoraFileError(
            f"LoRA {file.path}: {module} does not fit the model ({one_line(error)[:120]}); "
            "expected a LoRA of its base"
        ) from None


def _halves(name: str) -> tuple[str, str]:
    return ("lora_down", "lora_up") if name.startswith("lora_") else ("lora_A", "lora_B")


def _layer(pipe: Any, key: str) -> Any:
    """The layer of the model that a key of the loader is for; None where it has none."""
    module = _HALVES.sub("", key)
    part, _, path = _renamed(module).partition(".")
    for name in (path, path.removeprefix("text_model.")):
        try:
            layer = getattr(pipe, part).get_submodule(name)
            layer = getattr(layer, "base_layer", layer)
            return layer if layer.weight.ndim > 1 else None
        except AttributeError:
            continue
    return None


def _scale(module: str, rank: int, alpha: Any, config: Mapping[str, dict[str, Any]]) -> float:
    """Return the factor of B·A."""
    if alpha is not None:
        return (float(alpha) or rank) / rank
    values = config.get(part_of(module) or "", {})
    value = values.get("lora_alpha") or rank
    if values.get("alpha_pattern"):
        from peft.utils.other import get_pattern_key

        plain = _renamed(module).split(".", 1)[1].removeprefix("text_model.")
        pattern = {k.removeprefix("text_model."): v for k, v in values["alpha_pattern"].items()}
        value = pattern.get(get_pattern_key(list(pattern), plain), value)
    return float(value) / (rank**0.5 if values.get("use_rslora") else rank)


def _renamed(module: str) -> str:
    """Return the module's current name in the model, with its part in front.

    PEFT's wrapper and the names of diffusers' former attention processors are removed.
    transformers 5 dropped `text_model` from CLIPTextModel, so files have it or not; it is added
    to all, and diffusers removes it where the model has none.
    """
    part = part_of(module)
    if module.startswith(("lora_unet_", "lora_transformer_")):
        return module
    if name := transformer_names.kohya_name(module):
        return name
    if module.startswith("lora_te"):  # diffusers' converter knows them only where out_proj is there
        inner = module.split("_", 2)[2].replace("_", ".")
        inner = re.sub(r"\b(text|self)\.(model|attn|projection)\b", r"\1_\2", inner)
        module = f"{part}." + re.sub(r"([qkv]|out)\.proj$", r"\1_proj", inner)
    if not module.startswith(f"{part}."):
        module = re.sub(r"^(base_model\.model|diffusion_model)\.", "", module)
        module = f"{part}.{module}"
    module = module.replace(".processor.", ".")
    module = re.sub(r"\.self_attn\.to_(q|k|v|out)$", r".self_attn.\1_proj", module)
    module = re.sub(r"\.to_out$", ".to_out.0", module)
    return _TEXT.sub(r"\g<1>text_model.", module, count=1)
