"""LoRA files: tensors by kohya's and diffusers' keys, kohya's metadata and hashes.

kohya: `lora_unet_…`, `lora_te_…` with `lora_down`, `lora_up`, `alpha`. diffusers: PEFT's keys,
the scale alpha / rank multiplied into B, so that readers without alpha are right too. The
keys of the text encoder have `text_model.`, which transformers 5 dropped from its module names.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...checkpoints import atomic_files
from .network import Layer

if TYPE_CHECKING:
    import torch

DIFFUSERS_NAME = "pytorch_lora_weights.safetensors"
_KOHYA = {
    **dict.fromkeys(("unet", "transformer"), "lora_unet"),
    "text_encoder": "lora_te1",
    "text_encoder_2": "lora_te2",
}
_DTYPES = {"float": "float32", "fp16": "float16", "bf16": "bfloat16"}

Parts = Mapping[str, Iterable[Layer]]
"""Layers of `unet` or `transformer` and, where they were trained, of `text_encoder` and
`text_encoder_2`."""


def kohya(
    parts: Parts,
    precision: str = "float",
    *,
    module_name: Callable[[str, str], str] = lambda part, module: module,
    numbered: bool = False,
) -> dict[str, torch.Tensor]:
    """Return tensors by kohya's keys.

    `precision`: float, fp16 or bf16; `module_name`: from a part and a module to kohya's name of it;
    `numbered`: number the text encoders, as for SDXL.
    """
    import torch

    dtype = getattr(torch, _DTYPES[precision])
    out = {}
    for part, layers in parts.items():
        for layer in layers:
            full = module_name(part, _full(part, layer.name))
            text = part.startswith("text_encoder")
            start = "lora_te" if text and not numbered else _KOHYA[part]
            name = f"{start}_{full.replace('.', '_')}"
            out[f"{name}.lora_down.weight"] = layer.down.to(dtype).contiguous()
            out[f"{name}.lora_up.weight"] = layer.up.to(dtype).contiguous()
            out[f"{name}.alpha"] = torch.tensor(layer.alpha, dtype=dtype)
    return out


def diffusers(parts: Parts, precision: str = "float") -> dict[str, torch.Tensor]:
    """Return tensors by the keys of diffusers' `load_lora_weights`."""
    import torch

    dtype = getattr(torch, _DTYPES[precision])
    out = {}
    for part, layers in parts.items():
        for layer in layers:
            name = f"{part}.{_full(part, layer.name)}"
            out[f"{name}.lora_A.weight"] = layer.down.to(dtype).contiguous()
            out[f"{name}.lora_B.weight"] = (layer.up * layer.scale).to(dtype).contiguous()
    return out


def _full(part: str, name: str) -> str:
    is_text = part.startswith("text_encoder") and not name.startswith("text_model.")
    return f"text_model.{name}" if is_text else name


def write(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str],
    *,
    hashes: bool = True,
) -> None:
    """Write a safetensors file atomically. `hashes`: add those by which A1111 identifies it."""
    from safetensors.torch import save

    # kohya hashes a file that has its training metadata only (precalculate_safetensors_hashes).
    plain = save(dict(tensors), {k: v for k, v in metadata.items() if k.startswith("ss_")})
    (header,) = struct.unpack("<Q", plain[:8])
    body = hashlib.sha256(plain[8 + header :]).hexdigest()
    known = {
        "sshs_model_hash": body,
        "sshs_legacy_hash": hashlib.sha256(plain[0x100000:0x110000]).hexdigest()[:8],
        "modelspec.hash_sha256": f"0x{body}",
    }
    atomic_files.write(path, save(dict(tensors), {**metadata, **(known if hashes else {})}))


def as_metadata(values: Mapping[str, object]) -> dict[str, str]:
    """Return values as text as kohya writes them: None as "None", lists and maps as JSON."""
    return {
        key: json.dumps(value) if isinstance(value, (dict, list)) else str(value)
        for key, value in values.items()
    }
