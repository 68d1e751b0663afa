"""Text files of users: what is read, YAML that blows up, files that have no end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from visuals.checkpoints.identify.model_kind import UNKNOWN, guess_kind
from visuals.checkpoints.lora import file as lora_file
from visuals.checkpoints.lora import metadata as lora_metadata
from visuals.checkpoints.lora.file import LoraFileError
from visuals.checkpoints.lora.search import LoraNotFoundError, find
from visuals.configs.errors import UsageError
from visuals.configs.schema import SettingsError, load_settings
from visuals.configs.text_files import (
    MAX_BYTES,
    parse_json,
    parse_yaml,
    read_json_object,
    read_text,
)
from visuals.pipeline.images.provenance import ProvenanceError
from visuals.pipeline.images.provenance import read as read_provenance
from visuals.pipeline.images.write import encode_png
from visuals.pipeline.inputs.prompt_rows import PromptFileError
from visuals.pipeline.inputs.prompt_table import read_table
from visuals.pipeline.jobs import grid_files
from visuals.pipeline.runs import lock
from visuals.pipeline.runs.manifest import read_records
from visuals.training.catalog_import.product_catalog import CatalogError, read_catalogue
from visuals.training.datasets import imagefolder

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
        ("- " * 3000, "nested too deeply"),
        ("a: 2001-99-99", "month"),
        ("a: " + "[" * 150 + "]" * 150, "nested too deeply"),
        (f"a: {'9' * 5000}", "digits"),
        (f"a: 0x{'f' * 5000}", "an integer of 20,000 bits"),
        (f"a: {'1:' * 5000}1", "bits"),
        ("a:\n  k: 1\n  j: 2\n  k: 3", "the key 'k' is there twice, in lines 2 and 4"),
        ("a: {k: 1, k: 3}", "the key 'k' is there twice, in lines 1 and 1"),
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


HOSTILE = {
    "9" * 5000: "digits",
    "[" * 99_999: "nested too deeply",
    "[" * 500 + "]" * 500: "nested too deeply",
    '{"a":' * 500 + "1" + "}" * 500: "nested too deeply",
    "[1,": "Expecting value|Illegal trailing comma",
}
"""JSON texts with the reason why they are not read."""
HALF = {r'"a \ud800"': "half a character", r'["\udc41"]': "half a character"}


def _table(path: Path, value: str) -> None:
    path = path.with_suffix(".jsonl")
    path.write_text('{"prompt": "a mug"}\n{"class": "mug", "prompt": ' + value + "}\n")
    read_table(path).raise_problems()


def _lines(path: Path, value: str) -> None:
    path = path.with_suffix(".jsonl")
    path.write_text('{"image": "a.png"}\n{"image": ' + value + "}\n")
    read_catalogue(path)


def _catalogue(path: Path, value: str) -> None:
    path = path.with_suffix(".json")
    path.write_text('[{"image": ' + value + "}]")
    read_catalogue(path)


def _metadata(path: Path, value: str) -> None:
    path.write_text('{"file_name": "a.png"}\n{"file_name": "b.png", "x": ' + value + "}\n")
    rows, problems = imagefolder.read(path)
    assert len(rows) == 1
    raise UsageError(*problems)


@pytest.mark.parametrize("text", [*HOSTILE, *HALF])
@pytest.mark.parametrize(
    ("read", "error", "place"),
    [
        (_table, PromptFileError, "x.jsonl: line 2: not JSON "),
        (_lines, CatalogError, "x.jsonl: not JSON .line 2, "),
        (_catalogue, CatalogError, "x.json: not JSON "),
        (_metadata, UsageError, "x, line 2: not JSON "),
    ],
)
def test_json_that_cannot_be_read_is_named_with_file_and_line(
    tmp_path: Path, read: Callable[[Path, str], Any], error: type[Exception], place: str, text: str
) -> None:
    with pytest.raises(error, match=f"{place}.*({(HOSTILE | HALF)[text]})"):
        read(tmp_path / "x", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_json_of_models_runs_and_pictures_is_refused_or_passed_over(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(ValueError, match=HOSTILE[text]):
        parse_json(text.encode())
    (tmp_path / "manifest.jsonl").write_text(f"{text}\n")
    with pytest.raises(UsageError, match=r"manifest\.jsonl line 1: not JSON"):
        list(read_records(tmp_path))
    pixels = np.zeros((8, 8, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(pixels, lineage=text))
    with pytest.raises(ProvenanceError, match=r"a\.png holds no record"):
        read_provenance(tmp_path / "a.png")
    for name in ("config.json", "grid.json"):
        (tmp_path / name).write_text(text)
    assert guess_kind(str(tmp_path)) == UNKNOWN
    assert grid_files.read(tmp_path) is None
    assert lock.parse_holder(text.encode()) == {}
    assert lora_metadata.tag_counts({"ss_tag_frequency": text}) == []


def test_names_of_files_may_hold_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    row = {"file_name": os.fsdecode(b"\xff.png"), "text": "a mug"}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row))
    assert imagefolder.read(tmp_path / "metadata.jsonl") == ([row], [])


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


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "3", '{"a": ' * 2000])
def test_what_is_no_json_object_is_an_empty_one(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "config.json"
    if text is not None:
        file.write_text(text)
    assert read_json_object(file) == {}
