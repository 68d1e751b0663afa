"""A model's folder that lacks a file is refused in a sentence that says which, before a library
reads it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import tiny_flux, tiny_qwen, tiny_sd3, tiny_zimage

from visuals.checkpoints import annotators, load, redrawing_models
from visuals.checkpoints.identify import missing_files

Load = Callable[[Path], Any]


def copied(model: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(model, place, copy_function=os.symlink)
    return place


def refusal(load_it: Load, place: Path) -> str:
    with pytest.raises(load.CheckpointError) as caught:
        load_it(place)
    return str(caught.value)


def edit_model(place: Path) -> Any:
    return redrawing_models.load_redrawing_model(place, "edit")


@pytest.mark.parametrize(
    ("family", "name", "load_it"),
    [
        (tiny_flux, "base", load.load_text_to_image),
        (tiny_qwen, "edit", edit_model),
        (tiny_sd3, "base", load.load_text_to_image),
        (tiny_zimage, "base", load.load_text_to_image),
        (None, "sd", load.load_text_to_image),
    ],
)
def test_each_component_of_a_family(
    mini: Path, tmp_path: Path, family: Any, name: str, load_it: Load
) -> None:
    """Its whole folder, its configuration and its weights, each alone."""
    if family:
        family.write(tmp_path / "models")
    model = (tmp_path / "models" if family else mini) / name
    place = tmp_path / "copy"
    for part in sorted(path for path in model.iterdir() if path.is_dir()):
        settings = ("config.json", "scheduler_config.json", "tokenizer_config.json")
        files = [*part.glob("*.safetensors"), *(part / name for name in settings)]
        for lost in (part, *(file for file in files if file.is_file())):
            gone = copied(model, place) / lost.relative_to(model)
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
            why = refusal(load_it, place)
            what = part.name.replace("_", " ")
            assert f"{place}': its {what} " in why, (lost, why)
            assert f" in {place / part.name}; fetch the model again" in why, (lost, why)
            assert "; expected " in why and len(why) < 400, (lost, why)
    (copied(model, place) / "model_index.json").unlink()
    assert f"expected {place / 'model_index.json'}, as diffusers" in refusal(load_it, place)


def test_a_shard_of_many(mini: Path, tmp_path: Path) -> None:
    unet = copied(mini / "sd", tmp_path / "copy") / "unet"
    (weights,) = unet.glob("*.safetensors")
    weights.rename(unet / "x-00002-of-00002.safetensors")
    shards = [f"x-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {"weight_map": dict(zip("ab", shards, strict=True))}
    (unet / "x.safetensors.index.json").write_text(json.dumps(index))
    why = refusal(load.load_text_to_image, unet.parent)
    assert "its unet is incomplete; expected x-00001-of-00002.safetensors in" in why


@pytest.mark.parametrize("sharded", [True, False])
def test_a_variant_with_the_index_of_another(tmp_path: Path, sharded: bool) -> None:
    name = "m.fp16-00001-of-00001.safetensors" if sharded else "m.fp16.safetensors"
    for made in ("config.json", name):
        (tmp_path / made).touch()
    indexes = {"m.safetensors.index.json": "m-00001-of-00001.safetensors"}
    indexes |= {"m.safetensors.index.fp16.json": name} if sharded else {}
    for index, shard in indexes.items():
        (tmp_path / index).write_text(json.dumps({"weight_map": {"a": shard}}))
    missing_files.require_model(tmp_path, "unet")


@pytest.mark.parametrize("text", ["[]", "{}", '{"_class_name": "FluxPipeline"}'])
def test_an_index_that_names_nothing(mini: Path, tmp_path: Path, text: str) -> None:
    index = copied(mini / "sd", tmp_path / "copy") / "model_index.json"
    index.unlink()
    index.write_text(text)
    assert f"{index} names no components: expected" in refusal(
        load.load_text_to_image, index.parent
    )


def controlnet(place: Path) -> Any:
    return load.load_controlnet_inpaint("mini/sd", [place])


def vae(place: Path) -> Any:
    return load.load_text_to_image("mini/sd", vae=place)


@pytest.mark.usefixtures("loaded_models")
@pytest.mark.parametrize(
    ("name", "load_it"),
    [
        ("sam", load.load_segmenter),
        ("grounding-dino", load.load_detector),
        ("classifier", load.load_verifier),
        ("blip", load.load_captioner),
        ("depth", annotators.load_depth),
        ("controlnet-canny", controlnet),
        ("sd/vae", vae),
    ],
)
def test_a_model_of_one_folder(mini: Path, tmp_path: Path, name: str, load_it: Load) -> None:
    model = mini / name
    for lost in sorted(model.iterdir()):
        if lost.name != "generation_config.json":
            place = copied(model, tmp_path / "copy")
            (place / lost.name).unlink()
            why = refusal(load_it, place)
            shown = lost.name if lost.suffix != ".safetensors" else ".safetensors"
            shown = shown.removeprefix("pre")  # one of two names
            assert shown in why.partition(f"{place}': ")[2] and len(why) < 300, (lost, why)
