"""A model whose files lack a weight is refused, with the weight's name; so is one that lacks a
vocabulary."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from visuals.checkpoints import load


def load_controlnet(folder: Path) -> Any:
    return load.load_controlnet_inpaint("mini/sd", [folder])


@pytest.mark.parametrize(
    ("folder", "part", "loader", "what"),
    [
        ("sd", "unet", load.load_text_to_image, "unet"),
        ("sd", "vae", load.load_text_to_image, "vae"),
        ("sd", "text_encoder", load.load_text_to_image, "text encoder"),
        ("controlnet-canny", "", load_controlnet, "ControlNet"),
        ("grounding-dino", "", load.load_detector, "detector"),
        ("sam", "", load.load_segmenter, "segmenter"),
        ("blip", "", load.load_captioner, "captioner"),
    ],
)
def test_a_missing_weight_is_named(
    mini: Path, tmp_path: Path, folder: str, part: str, loader: Callable[..., Any], what: str
) -> None:
    if not (mini / folder).is_dir():
        pytest.skip(f"no {folder} among the embedded models")
    place = tmp_path / folder
    shutil.copytree(mini / folder, place, copy_function=os.symlink)
    (file,) = (place / part).glob("*.safetensors")
    weights = load_file(file)
    lost = next(name for name in weights if name.endswith("weight"))
    del weights[lost]
    file.unlink()
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(load.CheckpointError, match=rf"it lacks \d of a {what}'s weights") as caught:
        loader(place)
    if folder != "grounding-dino":  # some of its weights have two names
        assert lost.removeprefix("text_model.") in str(caught.value)


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ((), "its tokenizer is incomplete; expected tokenizer_config.json"),
        (("tokenizer_config.json", "special_tokens_map.json"), "its tokenizer has no vocabulary"),
    ],
)
def test_a_tokenizer_without_a_vocabulary_is_refused(
    mini: Path, tmp_path: Path, kept: tuple[str, ...], why: str
) -> None:
    place = tmp_path / "sd"
    shutil.copytree(mini / "sd", place, copy_function=os.symlink)
    for file in (place / "tokenizer").iterdir():
        if file.name not in kept:
            file.unlink()
    with pytest.raises(load.CheckpointError, match=why):
        load.load_text_to_image(place)
