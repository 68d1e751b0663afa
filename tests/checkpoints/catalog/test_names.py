"""Names to places, and what is said when there is none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from visuals.checkpoints import load
from visuals.checkpoints.catalog import names as catalog
from visuals.checkpoints.catalog.entry import UnknownCheckpointError, shipped_entries


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownCheckpointError, match="did you mean 'sam-vit-base'"):
        catalog.resolve("sam-vit-bse")


def test_folders_hub_names_and_embedded_names(tmp_path: Path, mini: Path) -> None:
    assert catalog.resolve(str(tmp_path)) == str(tmp_path)
    assert catalog.resolve("owner/model") == "owner/model"
    assert catalog.resolve("sam-vit-base") == "facebook/sam-vit-base"
    assert Path(catalog.resolve("mini/sd")).is_dir()


def test_pipes_and_devices_are_no_models(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    for name in ("/dev/null", str(tmp_path / "pipe.safetensors")):
        with pytest.raises(UnknownCheckpointError, match="a pipe or device; expected a folder"):
            catalog.resolve(name)


def test_a_folder_that_holds_no_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(load.CheckpointError, match="cannot load"):
        load.load_text_to_image(tmp_path)
    with pytest.raises(load.CheckpointError, match="incomplete"):
        load.load_segmenter(tmp_path)


def test_a_damaged_file_of_weights_is_a_sentence(tmp_path: Path, mini: Path) -> None:
    damaged = tmp_path / "sam"
    shutil.copytree(mini / "sam", damaged)
    (damaged / "model.safetensors").write_bytes(b"x" * 4096)
    with pytest.raises(load.CheckpointError, match=r"cannot load.*deserializing"):
        load.load_segmenter(damaged)


def test_every_entry_is_one_place_and_says_what_it_is() -> None:
    for name, entry in shipped_entries().items():
        places = [entry.folder, entry.repository, entry.path]
        assert sum(place is not None for place in places) == 1, name
        assert entry.kind and (entry.repository is None or entry.repository.count("/") == 1), name
    kinds = {entry.kind for entry in shipped_entries().values()}
    assert {"text-to-image", "vae", "controlnet", "lora", "detector", "segmenter"} <= kinds
    assert shipped_entries()["sdxl"].needs == "8 GiB of GPU memory, float16"


def test_the_embedded_models_say_which_words_they_know(mini: Path) -> None:
    words = load.known_words("mini/sd")
    assert words is not None and "sneaker" in words["classes"] and "red" in words["colours"]
    assert load.known_words("facebook/sam-vit-base") is None
