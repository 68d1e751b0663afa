"""Names to places, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from visuals.checkpoints import catalog, load


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(catalog.UnknownCheckpoint, match="did you mean 'sam-vit-base'"):
        catalog.resolve("sam-vit-bse")


def test_folders_hub_names_and_embedded_names(tmp_path: Path, mini: Path) -> None:
    assert catalog.resolve(str(tmp_path)) == str(tmp_path)
    assert catalog.resolve("owner/model") == "owner/model"
    assert catalog.resolve("sam-vit-base") == "facebook/sam-vit-base"
    assert Path(catalog.resolve("mini/sd")).is_dir()


def test_a_folder_that_holds_no_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(load.CheckpointError, match="cannot load"):
        load.load_text_to_image(tmp_path)
    with pytest.raises(load.CheckpointError, match="incomplete"):
        load.load_segmenter(tmp_path)


def test_the_embedded_models_say_which_words_they_know(mini: Path) -> None:
    words = load.known_words("mini/sd")
    assert words is not None and "sneaker" in words["classes"] and "red" in words["colours"]
    assert load.known_words("facebook/sam-vit-base") is None
