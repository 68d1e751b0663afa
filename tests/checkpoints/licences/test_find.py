"""The licence of a model: from the catalogue, a card, a file's metadata, a user's word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.hub_stand_in import Hub, connect
from safetensors.torch import save_file

from visuals.checkpoints.catalog import user_names
from visuals.checkpoints.hub import first_use
from visuals.checkpoints.licences.find import licence_of

FRONT = "---\ntags: [a]\n{}\n---\n# A model\n"


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        (FRONT.format("license: apache-2.0"), "apache-2.0"),
        (FRONT.format("license: other\nlicense_name: stabilityai-ai-community"), "stabilityai-ai-"),
        (FRONT.format("license: other"), "unknown"),
        (FRONT.format("license: [mit, gpl-3.0]"), "unknown"),
        (FRONT.format("license: {mit"), "unknown"),
        ("# license: mit\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_folder_s_card_names_it(tmp_path: Path, card: str, licence: str) -> None:
    (tmp_path / "README.md").write_text(card)
    assert licence_of(tmp_path).startswith(licence)


def test_a_file_s_metadata_name_it_and_a_user_s_word_stands_above(tmp_path: Path) -> None:
    file, bare = tmp_path / "look.safetensors", tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(1)}, file, {"modelspec.license": " CC-BY-NC-4.0 "})
    save_file({"a": torch.zeros(1)}, bare)
    assert (licence_of(file), licence_of(bare)) == ("CC-BY-NC-4.0", "unknown")
    user_names.add("paid", str(file), kind="lora", licence="commercial")
    assert licence_of(file) == licence_of("paid") == "commercial"
    user_names.add("dev", "black-forest-labs/FLUX.1-dev", kind="text-to-image", licence="mine")
    assert licence_of("black-forest-labs/FLUX.1-dev") == licence_of("dev") == "mine"
    assert "Non-Commercial" in licence_of("flux-dev")


def test_the_catalogue_names_those_of_its_names_repositories_and_folders(mini: Path) -> None:
    assert licence_of("sdxl") == licence_of("stabilityai/stable-diffusion-xl-base-1.0")
    assert licence_of("mini/sd") == licence_of(mini / "loras" / "ppzmini.safetensors")
    assert licence_of("nobody/here") == licence_of("no-such-name") == "unknown"


@pytest.fixture
def hub(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as made:
        connect(monkeypatch, made, own_home / "hub")
        yield made


def test_the_hub_s_card_is_asked_for_alone_or_comes_with_the_weights(hub: Hub) -> None:
    files = {
        "config.json": b"{}",
        "model.safetensors": b"0",
        "README.md": b"---\nlicense: mit\n---",
    }
    hub.add("some/one", files)
    hub.add("some/two", files)
    hub.add("some/bare", {"config.json": b"{}"})
    assert licence_of("some/one") == "unknown" and not hub.requests
    assert licence_of("some/one", ask=True) == licence_of("some/one") == "mit"
    assert not hub.weights()
    assert licence_of("some/bare", ask=True) == licence_of("some/nix", ask=True) == "unknown"
    first_use.ensure_local("some/two")
    assert licence_of("some/two") == "mit"
