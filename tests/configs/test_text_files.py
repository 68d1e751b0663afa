"""Text files of users: what is read, YAML that blows up, files that have no end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from visuals.checkpoints.lora import file as lora_file
from visuals.checkpoints.lora.file import LoraFileError
from visuals.checkpoints.lora.search import LoraNotFoundError, find
from visuals.configs.errors import UsageError
from visuals.configs.schema import SettingsError, load_settings
from visuals.configs.text_files import MAX_BYTES, parse_yaml, read_text

RECURSIVE = "a: &a [*a]"
MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}\n" for k in range(1, 12)
)
LISTS = "a0: &a0 [x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LISTS, "aliases stand for"),
        (MERGES, "aliases stand for"),
        (RECURSIVE, "alias of itself"),
        ("a: " + "[" * 3000, "recursion"),
        ("a: 2001-99-99", "month"),
        (f"a: {'9' * 5000}", "digits"),
    ],
)
def test_yaml_that_blows_up_is_no_yaml(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(yaml.YAMLError, match=why):
        parse_yaml(text)
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(SettingsError, match=f"x.yaml: not YAML .*{why}"):
        load_settings(str(tmp_path / "x.yaml"))


def test_aliases_and_merges_are_read() -> None:
    text = "a: &a {k: 1}\nb: {<<: *a, j: 2}\nc: [*a, *a]"
    assert parse_yaml(text) == yaml.safe_load(text)
    assert len(parse_yaml("a: [" + "x, " * 150_000 + "]")["a"]) == 150_000


def test_a_preset_that_is_its_own_base_is_refused(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"base: {tmp_path / base}.yaml")
    with pytest.raises(SettingsError, match="a base of itself"):
        load_settings(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "folder", "large"])
def test_only_files_of_a_bounded_size_are_read(tmp_path: Path, place: str) -> None:
    path = tmp_path / place  # "/dev/zero" stays as it is
    if place == "pipe":
        os.mkfifo(path)
    elif place == "folder":
        path.mkdir()
    elif place == "large":
        with path.open("wb") as file:
            file.truncate(MAX_BYTES + 1)
    with pytest.raises(UsageError, match=f"{path}: .*expected (a file with )?a prompt a line"):
        read_text(path, UsageError, "a prompt a line")


def test_pipes_in_folders_of_loras_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(LoraNotFoundError, match="there: none"):
        find("a", [tmp_path])
    with pytest.raises(LoraFileError, match="a folder, pipe or device"):
        lora_file.read(tmp_path / "a.safetensors")
