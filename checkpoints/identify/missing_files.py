"""Refuses a folder that lacks a file of a model, before a library reads it."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from ...configs.text_files import read_json_object
from ..formats.safetensors_header import SHARD
from .tensor_names import UnsuitableWeightsError

PROCESSOR = "*processor_config.json"
"""preprocessor_config.json or, newer, processor_config.json."""
TOKENIZER = "tokenizer_config.json"
"""Without it a tokenizer does not know how many tokens its text encoder takes."""


def require_pipeline(folder: Path, without: Collection[str] = ()) -> None:
    """Raise UnsuitableWeightsError if the folder of a pipeline lacks a file of a component, but of
    those of the names `without`; without a configuration transformers builds a model of its own
    choice, of many GiB."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise UnsuitableWeightsError(
            f"expected {index}, as diffusers writes it; fetch the model again or name another"
        )
    parts = read_json_object(index)
    if not any(isinstance(kind, list) for kind in parts.values()):
        raise UnsuitableWeightsError(
            f"{index} names no components: expected diffusers' index of a pipeline, such as "
            '{"unet": ["diffusers", "UNet2DConditionModel"], …}; fetch the model again'
        )
    for name, kind in parts.items():
        is_part = isinstance(kind, list) and len(kind) == 2 and isinstance(kind[1], str)
        if is_part and name not in without:
            _require_component(folder / name, kind[1])


def require_model(folder: Path, what: str) -> None:
    """Raise UnsuitableWeightsError if the folder of a model lacks its configuration or weights."""
    require_file(folder, what, "config.json")
    require_file(folder, what, "*.safetensors")
    if not all(re.search(SHARD, file.name) for file in folder.glob("*.safetensors")):
        return
    # A download of one variant (fp16) may keep the index of another.
    gaps = [_gap(index) for index in sorted(folder.glob("*.safetensors.index*.json"))]
    if gaps and all(gaps):
        raise _incomplete(folder, what, gaps[0])


def _gap(index: Path) -> str:
    """The first file that an index names and its folder lacks; "" without one."""
    files = read_json_object(index).get("weight_map")
    names = sorted(map(str, files.values())) if isinstance(files, dict) else ()
    return next((name for name in names if not (index.parent / name).is_file()), "")


def _require_component(folder: Path, kind: str) -> None:
    what = folder.name.replace("_", " ")
    if kind.endswith("Scheduler"):
        require_file(folder, what, "scheduler_config.json")
    elif kind.endswith(("Tokenizer", "TokenizerFast")):
        require_file(folder, what, TOKENIZER)
    elif kind.endswith(("Processor", "FeatureExtractor")):
        require_file(folder, what, PROCESSOR)
    else:
        require_model(folder, what)


def require_file(folder: Path, what: str, name: str) -> None:
    """Raise UnsuitableWeightsError if a folder has no file of a name or pattern."""
    if not any(folder.glob(name)):
        raise _incomplete(folder, what, name)


def _incomplete(folder: Path, what: str, name: str) -> UnsuitableWeightsError:
    return UnsuitableWeightsError(
        f"its {what} is incomplete; expected {name} in {folder}; fetch the model again"
    )
