"""Loads CLIP's tokenizer of a model alone, to count the tokens of prompts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import reference_configs
from .identify.base_family import reads_chunks
from .identify.tensor_names import UnsuitableWeightsError
from .load import load_or_explain


def load_tokenizer(ref: str | os.PathLike[str]) -> Any:
    """Load it from a text-to-image checkpoint; for a single file, the usual one."""
    from transformers import CLIPTokenizer

    def load(path: str, local: bool) -> Any:
        if not reads_chunks(ref):
            raise UnsuitableWeightsError("it does not read prompts in CLIP's chunks of 75 tokens")
        if Path(path).is_file():
            return reference_configs.load_tokenizer()
        words = CLIPTokenizer.from_pretrained(path, subfolder="tokenizer", local_files_only=local)
        if len(words) < 256:  # transformers 5 returns an empty one where it finds no file
            raise OSError("it has no tokenizer")
        return words

    return load_or_explain(ref, load, whole=False)
