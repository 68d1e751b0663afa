"""Refuses a model whose files lack weights, which the libraries would fill with random numbers, or
a vocabulary, without which every word is unknown."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ..formats import safetensors_header
from . import missing_files
from .tensor_names import UnsuitableWeightsError


def require_all(lacking: Collection[str], what: str) -> None:
    """Raise UnsuitableWeightsError if names of weights are lacking; `what`: of which model."""
    if lacking:
        raise UnsuitableWeightsError(
            f"it lacks {len(lacking)} of a {what}'s weights, {min(lacking)} the first"
        )


def load_whole(
    kind: Any, processor_kind: Any, path: str, local: bool, dtype: Any, what: str
) -> tuple[Any, Any]:
    """Load a model and its processor by classes of transformers, from a folder or repository.

    Raises UnsuitableWeightsError if files, weights or words are lacking; `local` keeps it off the
    network.
    """
    if local:
        missing_files.require_model(Path(path), what)
        missing_files.require_file(Path(path), what, missing_files.PROCESSOR)
    model, report = kind.from_pretrained(
        path,
        dtype=dtype,
        local_files_only=local,
        use_safetensors=True,
        output_loading_info=True,
    )
    require_all(report["missing_keys"], what)
    processor = processor_kind.from_pretrained(path, local_files_only=local)
    if local:
        _require_vocabulary(processor, Path(path), what)
    return model, processor


def require_loaded(model: Any, what: str) -> None:
    """Raise UnsuitableWeightsError if a model of diffusers got no values for some weights."""
    require_all([name for name, weight in model.named_parameters() if weight.is_meta], what)


def require_components(pipe: Any) -> None:
    """Raise UnsuitableWeightsError if a component of a pipeline lacks weights."""
    import torch

    for name, part in pipe.components.items():
        if isinstance(part, torch.nn.Module):
            what = name.replace("_", " ")
            require_loaded(part, what)
            folder = Path(getattr(part, "name_or_path", ""))  # of transformers' models
            if folder.name == name and folder.is_dir():
                require_all(_not_stored(part, folder), what)


def require_vocabularies(pipe: Any, folder: Path) -> None:
    """Raise UnsuitableWeightsError if a tokenizer has no vocabulary below a pipeline's folder."""
    for name, part in pipe.components.items():
        _require_vocabulary(part, folder / name, name.replace("_", " "))


def _require_vocabulary(part: Any, folder: Path, what: str) -> None:
    """Raise UnsuitableWeightsError if a tokenizer, or a processor's, has no configuration or no
    vocabulary in its folder; transformers 5 returns an empty one where it finds no file."""
    files = {**getattr(getattr(part, "tokenizer", part), "vocab_files_names", {})}
    if files:
        missing_files.require_file(folder, what, missing_files.TOKENIZER)
    whole = files.pop("tokenizer_file", None)
    held = {file.name for file in folder.glob("*")}
    if files and whole not in held and not held.issuperset(files.values()):
        names = " or ".join(filter(None, (whole, " and ".join(files.values()))))
        raise UnsuitableWeightsError(
            f"its {what} has no vocabulary; expected {names} in {folder}; fetch the model again"
        )


def _not_stored(model: Any, folder: Path) -> list[str]:
    """The weights of a model that no .safetensors file of its folder holds.

    A name may have lost or gained its first parts, as `text_model.` of CLIP in transformers 5, or
    gained `language_model.`, as in Qwen2.5-VL.
    """
    stored: set[str] = set()
    for file in folder.glob("*.safetensors"):
        stored.update(safetensors_header.read(file).shapes)
    known = {end for name in stored for end in _ends(name)}
    names = [name for name, _ in model.named_parameters()] if stored else []
    plain = {name: name.replace("language_model.", "") for name in names}
    return [
        name
        for name in names
        if not known & {name, plain[name]} and not stored.intersection(_ends(plain[name]))
    ]


def _ends(name: str) -> Iterator[str]:
    """A name, and the name without its first part, its first two …"""
    parts = name.split(".")
    return (".".join(parts[k:]) for k in range(len(parts)))
