"""The published configurations of Stable Diffusion 1.5 and SDXL, and CLIP's tokenizer.

A single `.safetensors` file holds weights alone; these are the other files of a diffusers folder.
README.md has their sources.
"""

from __future__ import annotations

import functools
import gzip
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@functools.cache
def read(family: str) -> dict[str, dict[str, Any]]:
    """Return the configurations of "sd15", "sdxl" or "sdxl-refiner".

    "model_index.json" holds that file, "components" the configuration of each component by name.
    """
    values: dict[str, dict[str, Any]] = json.loads((_HERE / f"{family}.json").read_text())
    return values


def components(family: str) -> dict[str, dict[str, Any]]:
    """Return the configuration of each component of a family by name, such as "unet"."""
    return read(family)["components"]


def write(family: str, folder: Path, *, scheduler: Mapping[str, Any] | None = None) -> None:
    """Write a diffusers folder of a family with everything but weights.

    `scheduler`: changes of the scheduler's configuration.
    """
    for part, config in components(family).items():
        if part == "scheduler":
            config = {**config, **(scheduler or {})}
        (folder / part).mkdir(parents=True, exist_ok=True)
        file = "scheduler_config.json" if part == "scheduler" else "config.json"
        (folder / part / file).write_text(json.dumps(config, indent=1))
        if part.startswith("text_encoder"):
            tokenizer = part.replace("text_encoder", "tokenizer")
            # The second tokenizer of SDXL pads with "!", its token 0.
            pad = "!" if tokenizer == "tokenizer_2" else "<|endoftext|>"
            write_tokenizer(folder / tokenizer, pad=pad)
    index = read(family)["model_index.json"]
    (folder / "model_index.json").write_text(json.dumps(index, indent=1))


def load_tokenizer() -> Any:
    """Load CLIP's tokenizer, that of SD 1.5 and of SDXL's first text encoder."""
    from transformers import CLIPTokenizer

    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), pad="<|endoftext|>")
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def write_tokenizer(folder: Path, *, pad: str) -> None:
    """Write CLIP's tokenizer as transformers keeps it: 49,408 tokens, texts of 77 tokens."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    packed = (_HERE / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    merges = lines[1 : 49152 - 256 - 2 + 1]  # as in CLIP's simple_tokenizer.py
    letters = list(bytes_to_unicode().values())
    names = letters + [letter + "</w>" for letter in letters]
    names += [line.replace(" ", "") for line in merges]
    names += ["<|startoftext|>", "<|endoftext|>"]
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": pad,
    }
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {name: number for number, name in enumerate(names)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges_text = "\n".join(["#version: 0.2", *merges, ""])
    (folder / "merges.txt").write_text(merges_text, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
