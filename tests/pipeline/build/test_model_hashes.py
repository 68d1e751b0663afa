"""A1111's short hashes of models and LoRAs in pictures, and what they tell when they are others."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import visuals
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from visuals.checkpoints.catalog.names import resolve
from visuals.checkpoints.formats import safetensors_header
from visuals.checkpoints.lora import search as lora_search
from visuals.configs.errors import UsageError
from visuals.configs.schema import load_settings
from visuals.pipeline.build import model_hashes
from visuals.pipeline.images import infotext
from visuals.stages.shot import Prompted, Shot

FEW = ["--set", "generate.steps=2", "--count", "1"]


def said(folder: Path) -> str:
    (picture,) = (folder / "images").glob("*.png")
    text: str = Image.open(picture).info["parameters"]
    return text.split("\n")[-1]


@pytest.fixture
def look(mini: Path, tmp_path: Path) -> Path:
    """The embedded LoRA by another name, in a folder of the user's."""
    place = tmp_path / "loras" / "look.safetensors"
    place.parent.mkdir()
    shutil.copy(Path(resolve("mini/loras")) / "ppzmini.safetensors", place)
    return place


def changed(look: Path) -> None:
    """Other weights under the same name."""
    with safe_open(look, "np") as file:
        meta = file.metadata()
    weights = load_file(look)
    save_file({n: np.asarray(v * v.dtype.type(1.5)) for n, v in weights.items()}, look, meta)


def test_a_model_that_cannot_be_read_is_a_sentence() -> None:
    name = "/proc/self/mem"  # a regular file by its kind
    for setting in ("generate.model", "detect.model", "segment.model", "generate.vae"):
        settings = load_settings("mini", {setting: name})
        with pytest.raises(UsageError, match=f"model '{name}' cannot be read"):
            model_hashes.fingerprints(settings)
    with pytest.raises(UsageError, match=r"not a complete \.safetensors file"):
        safetensors_header.read(name)


def test_the_hash_of_a_lora_is_that_of_its_tensors(tmp_path: Path) -> None:
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    halves = {
        f"{layer}.lora_{half}.weight": np.ones(s, np.float16)
        for half, s in {"down": (2, 8), "up": (8, 2)}.items()
    }
    path = tmp_path / "x.safetensors"
    save_file(halves, path, metadata={"ss_tag": "1"})
    data = b"".join(np.ones(16, np.float16).tobytes() for _ in halves)
    wanted = hashlib.sha256(data).hexdigest()[:12]
    assert lora_search.short_hash(path) == wanted
    save_file(halves, path, metadata={"ss_comment": "another header, the same tensors"})
    assert lora_search.short_hash(path) == wanted
    save_file(halves, path, metadata={"sshs_model_hash": "AB" * 32})
    assert lora_search.short_hash(path) == "ab" * 6, "as its trainer wrote it"
    save_file(halves, path, metadata={"sshs_model_hash": "<script>"})
    assert lora_search.short_hash(path) == wanted


def test_a_model_of_one_file_has_a1111s_hash_and_name(mini: Path, tmp_path: Path) -> None:
    file = tmp_path / "dream.safetensors"
    file.write_bytes(b"weights")
    settings = load_settings("mini", {"generate.model": str(file), "generate.prompt": "a mug"})
    short = hashlib.sha256(b"weights").hexdigest()[:10]
    assert model_hashes.short_hashes(settings) == {"model": short}
    of_folder = model_hashes.short_hashes(load_settings("mini"))
    assert model_hashes.MODEL not in of_folder
    shot = Shot(
        "s", Prompted("a mug", "", 1), ("mug",), image=np.zeros((8, 8, 3), np.uint8), status="kept"
    )
    text = infotext.format_infotext(
        shot, settings.model_dump(mode="json"), model_hashes.short_hashes(settings)
    )
    assert f"Model hash: {short}, Model: dream, Version" in text
    assert infotext.parse_infotext(text).hashes == {"model": short}


def test_a_picture_names_the_hashes_of_the_loras_of_its_own_prompt(
    look: Path, tmp_path: Path
) -> None:
    shutil.copy(look, look.parent / "other.safetensors")
    rows = [
        {"class": "mug", "prompt": "a {class} <lora:look:0.5> <lora:ppzmini:0.2>"},
        {"class": "car", "prompt": "a {class}"},
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    where = ["--lora-dir", str(look.parent), "--out", str(tmp_path / "o")]
    result = visuals("generate", "--prompts", str(tmp_path / "p.jsonl"), *FEW[:2], *where)
    assert result.exit_code == 0, result.output
    lines = [
        Image.open(p).info["parameters"] for p in sorted((tmp_path / "o" / "images").glob("*.png"))
    ]
    short = lora_search.short_hash(look)
    with_loras = next(line for line in lines if "<lora" in line)
    assert f'Lora hashes: "look: {short}, ppzmini: {short}", Version' in with_loras
    assert infotext.parse_infotext(with_loras).hashes == {"lora:look": short, "lora:ppzmini": short}
    assert "Lora hashes" not in next(line for line in lines if "<lora" not in line)


def test_a_picture_names_the_hashes_of_the_loras_of_its_edit(look: Path, tmp_path: Path) -> None:
    white = np.full((64, 64), 255, np.uint8)
    for name, picture in (("photo.png", np.stack([white] * 3, -1)), ("mask.png", white)):
        Image.fromarray(picture).save(tmp_path / name)
    masked = [str(tmp_path / "photo.png"), "--mask", str(tmp_path / "mask.png"), "--class", "mug"]
    where = ["--lora-dir", str(look.parent), "--out", str(tmp_path / "o")]
    few = ["--set", "rerender.steps=2"]
    result = visuals("enhance", *masked, "--edit", "red <lora:look:0.5>", *where, *few)
    assert result.exit_code == 0, result.output
    assert f'Lora hashes: "look: {lora_search.short_hash(look)}, ppzmini: ' in said(tmp_path / "o")


def test_replay_names_a_lora_that_changed_under_its_name(look: Path, tmp_path: Path) -> None:
    run, bare = tmp_path / "run", tmp_path / "bare.png"
    words = ["generate", "--class", "mug", "--prompt", "a {class}, <lora:look:1>"]
    where = ["--set", f"generate.lora_dirs=[{look.parent}]"]
    result = visuals(*words, *where, *FEW, "--out", str(run))
    assert result.exit_code == 0, result.output
    (ours,) = (run / "images").glob("*.png")
    info = PngInfo()
    info.add_text("parameters", Image.open(ours).info["parameters"])
    Image.open(ours).save(bare, pnginfo=info)
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"base: mini\ngenerate: {{lora_dirs: [{look.parent}]}}\n")
    again = ["replay", str(bare), "--preset", str(mine), "--out"]
    same = visuals(*again, str(tmp_path / "a"))
    assert same.exit_code == 0 and "other weights" not in same.stderr, same.output
    before = lora_search.short_hash(look)
    changed(look)
    now = lora_search.short_hash(look)
    assert now != before
    other = visuals(*again, str(tmp_path / "b"))
    assert f"LoRA 'look' has other weights: {before} then, {now} now: pixels" in other.stderr
    by_record = visuals("replay", str(run), "--out", str(tmp_path / "c"))
    assert "lora:look has other weights than then: pixels may differ" in by_record.stderr
    assert said(tmp_path / "c").count(now) == 1


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('Lora hashes: "x: 0123456789ab"', {"lora:x": "0123456789ab"}),
        ("Lora hashes: x: 0123456789ab", {"lora:x": "0123456789ab"}),
        ("Lora hashes: x", {}),
        ('Model hash: 1234567890, Lora hashes: "a b: 1, c: 2"',
         {"model": "1234567890", "lora:a b": "1", "lora:c": "2"}),
        ('Lora hashes: ""', {}),
    ],
)  # fmt: skip
def test_hashes_are_read_back(line: str, found: dict[str, str]) -> None:
    assert infotext.parse_infotext(f"a\nSteps: 2, Seed: 1, {line}").hashes == found
