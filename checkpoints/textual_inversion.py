"""Finds and reads textual inversions: files of vectors that stand for a word of a prompt.

Formats: A1111's (`string_to_param`), diffusers' (one tensor under the word), kohya's (`emb_params`)
and SDXL's (`clip_l` and `clip_g`), as .safetensors and, where the caller allows pickles, as .pt and
.bin. Knows no prompts.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..configs.errors import UsageError, one_line
from .formats import pickles, safetensors_header
from .identify.base_family import Base, base_of_width
from .lora.search import files_in

if TYPE_CHECKING:
    import torch

ENDINGS = (".safetensors", ".pt", ".bin")
"""Of the files of a name, the first is read."""
MOST_VECTORS = 75
"""What a chunk of tokens holds."""
ENCODERS = {"tokenizer": "clip_l", "tokenizer_2": "clip_g"}
"""SDXL's tokenizers in a pipeline, and the name of their encoder's vectors in a file."""
_GENERIC = ("learned_embeds", "learned_embeds_2")


class EmbeddingFileError(UsageError):
    """The file of a textual inversion cannot be read."""


@dataclass(frozen=True)
class Embedding:
    """A textual inversion.

    Args:
        name: What prompts call it.
        path: The file.
        vectors: Float (vectors, width) by encoder: "clip_l" and "clip_g" of SDXL, else "".
    """

    name: str
    path: Path
    vectors: Mapping[str, torch.Tensor]

    @property
    def count(self) -> int:
        """The tokens that it takes the place of."""
        return len(next(iter(self.vectors.values())))

    @property
    def base(self) -> Base:
        """The base model that it was made for, whose UNet reads the widths of its encoders."""
        return base_of_width(sum(tensor.shape[1] for tensor in self.vectors.values()))


class EmbeddingLibrary:
    """The textual inversions of folders and their subfolders, each read at its first use.

    Args:
        folders: The first file of a name counts.
        allow_pickle: Whether .pt and .bin may be read.
    """

    def __init__(self, folders: Sequence[str | Path] = (), *, allow_pickle: bool = False) -> None:
        self._folders, self._allow_pickle = folders, allow_pickle
        self._read: dict[str, Embedding] = {}

    @functools.cached_property
    def files(self) -> dict[str, Path]:
        """Files by name."""
        out: dict[str, Path] = {}
        names: set[str] = set()
        for folder in self._folders:
            found = files_in([folder], ENDINGS)
            for file in sorted(found, key=lambda f: ENDINGS.index(f.suffix.lower())):
                name = name_of(file)
                if name.lower() not in names:
                    names.add(name.lower())
                    out[name] = file
        return dict(sorted(out.items()))

    def read(self, name: str) -> Embedding:
        """Read the embedding of a name in `files`. Raises EmbeddingFileError, PickleError."""
        if name not in self._read:
            self._read[name] = read(self.files[name], allow_pickle=self._allow_pickle)
        return self._read[name]

    def find(self, name: str) -> Embedding:
        """Read the embedding of a name in any case. Raises EmbeddingFileError, PickleError."""
        own = next((file for file in self.files if file.lower() == name.lower()), None)
        if own is None:
            near = difflib.get_close_matches(name, self.files, 1, 0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            folders = ", ".join(map(str, self._folders)) or "any folder"
            raise EmbeddingFileError(
                f"no textual inversion {name!r} in {folders}{hint}; set generate.embedding_dirs or "
                "--embedding-dir"
            )
        return self.read(own)


NO_EMBEDDINGS = EmbeddingLibrary()


def name_of(path: Path) -> str:
    """Return the file's stem, or its folder's name where the stem is diffusers' own."""
    return path.parent.name if path.stem in _GENERIC else path.stem


def read(path: Path, *, allow_pickle: bool = False) -> Embedding:
    """Read a file. Raises EmbeddingFileError, PickleError."""
    is_pickle = path.suffix.lower() != ".safetensors"
    held = _from_pickle(path, allow_pickle) if is_pickle else _from_safetensors(path)
    vectors = {}
    for encoder, tensor in held.items():
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise EmbeddingFileError(
                f"{path}: its vectors hold integers, NaN or infinity; expected floats; download it "
                "again"
            )
        vectors[encoder] = tensor.detach().float().reshape(-1, tensor.shape[-1])
    if len({len(tensor) for tensor in vectors.values()}) > 1:
        raise EmbeddingFileError(
            f"{path}: clip_l and clip_g have different numbers of vectors; expected as many of "
            "each; download it again"
        )
    return Embedding(name_of(path), path, vectors)


def _from_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import safe_open

    try:
        shapes = safetensors_header.read(path).shapes
    except (safetensors_header.HeaderError, OSError) as error:
        raise EmbeddingFileError(one_line(error)) from None
    keys = _keys(path, shapes)
    with safe_open(str(path), "pt") as file:
        return {encoder: file.get_tensor(key) for encoder, key in keys.items()}


def _from_pickle(path: Path, allowed: bool) -> dict[str, torch.Tensor]:
    held = pickles.load(path, allowed=allowed)
    if isinstance(held, Mapping):
        held = held.get("string_to_param", held)
    named = held if isinstance(held, Mapping) else {"": held}
    shapes = {key: tuple(v.shape) for key, v in named.items() if hasattr(v, "shape")}
    return {encoder: named[key] for encoder, key in _keys(path, shapes).items()}


def _keys(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The key of each encoder's tensor, by the shapes of all."""
    sdxl = {key: key for key in ENCODERS.values() if key in shapes}
    if not sdxl and len(shapes) != 1:
        raise EmbeddingFileError(
            f"{path} holds {len(shapes)} tensors: expected one, or clip_l and clip_g; it is no "
            "textual inversion: take it out of the folder"
        )
    keys = sdxl or {"": next(iter(shapes))}
    for key in keys.values():
        *many, width = shapes[key] or (0,)
        if not width or len(many) > 1 or not 1 <= (many or [1])[0] <= MOST_VECTORS:
            raise EmbeddingFileError(
                f"{path}: {key!r} has the shape {list(shapes[key])}: expected 1 to {MOST_VECTORS} "
                "vectors; download it again or take it out of the folder"
            )
    return keys
