"""Textual inversions of a run: named in its prompts, recorded, listed, refused in sentences."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
import yaml
from helpers.command_line import checked, json_of, visuals
from PIL import Image
from safetensors.torch import save_file

from visuals.checkpoints import load
from visuals.pipeline.images.infotext import parse_infotext
from visuals.pipeline.jobs.replays import replay_infotext

pytestmark = pytest.mark.usefixtures("loaded_models")


@pytest.fixture
def folder(mini: Path, tmp_path: Path) -> Path:
    """`embeddings` with EasyNegative, of the embedded model's width."""
    encoder = load.load_text_to_image("mini/sd").text_encoder
    width = encoder.get_input_embeddings().weight.shape[1]
    out = tmp_path / "embeddings"
    (out / "deep").mkdir(parents=True)
    vectors = torch.randn(2, width, generator=torch.Generator().manual_seed(0))
    save_file({"emb_params": vectors}, out / "deep" / "EasyNegative.safetensors")
    return out


def test_a_run_is_drawn_with_them_and_records_them(folder: Path, tmp_path: Path) -> None:
    words = [
        "generate", "--class", "mug", "--count", "1", "--seed", "1", "--set", "generate.steps=2",
        "--negative-prompt", "blue, (easynegative:1.2)",
    ]  # fmt: skip
    pictures = []
    for out, more in (("plain", []), ("with", ["--embedding-dir", folder])):
        checked(*words, *more, "--out", tmp_path / out)
        pictures.append(Image.open(next((tmp_path / out).glob("images/*.png"))))
    plain, drawn = pictures
    assert plain.tobytes() != drawn.tobytes()
    file = folder / "deep" / "EasyNegative.safetensors"
    whole = hashlib.sha256(file.read_bytes()).hexdigest()
    assert f'TI hashes: "EasyNegative: {whole[:12]}"' in drawn.info["parameters"]
    assert "TI hashes" not in plain.info["parameters"]
    assert parse_infotext(drawn.info["parameters"]).hashes["embedding:EasyNegative"] == whole[:12]
    record = yaml.safe_load((tmp_path / "with" / "run.yaml").read_text())
    assert record["checkpoints"]["embedding:EasyNegative"] == f"sha256:{whole}"
    assert record["settings"]["generate"]["embedding_dirs"] == [str(folder)]
    (tmp_path / "a1111.png").write_bytes(b"")
    drawn.save(tmp_path / "a1111.png", pnginfo=_parameters(drawn.info["parameters"]))
    plan = replay_infotext.of_picture(tmp_path / "a1111.png", "mini")
    assert plan is not None
    (note,) = [note for note in plan.notes if "EasyNegative" in note]
    assert note.endswith("generate.embedding_dirs: it is read as words")


def _parameters(text: str) -> object:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", text)
    return info


def test_they_are_listed_and_shown(folder: Path) -> None:
    torch.save({"<x>": torch.ones(768)}, folder / "x.pt")
    save_file(
        {"clip_l": torch.ones(1, 768), "clip_g": torch.ones(1, 1280)}, folder / "xl.safetensors"
    )
    listed = visuals("embedding", "list", "--embedding-dir", folder, "--json")
    assert [(r["name"], r["base"], r["vectors"]) for r in json.loads(listed.stdout)] == [
        ("EasyNegative", "cross-attention 128", 2),
        ("xl", "SDXL", 1),
    ]
    assert "x.pt: a pickle" in listed.stderr
    table = checked("embedding", "list", "--embedding-dir", folder, "--allow-pickle").stdout
    assert table.splitlines()[2].split() == ["x", "SD", "1.x", "1"]
    record = json_of("embedding", "info", "easynegative", "--embedding-dir", folder)
    assert record["ti_hash"] == record["sha256"][:12]
    where = ("--set", f"generate.embedding_dirs=[{folder}]")
    read = checked("prompt", "mug xl, easynegative", "--preset", "mini", *where)
    assert "mug x l , EasyNegative EasyNegative" in read.stdout
    assert "'xl' was made for SDXL" in read.stderr


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"emb_params": torch.full((1, 64), torch.nan)}, "its vectors hold integers, NaN"),
        ({"a": torch.ones(2), "b": torch.zeros(2)}, "holds 2 tensors"),
    ],
)
def test_a_bad_file_is_refused_before_models_are_loaded(
    held: dict[str, torch.Tensor], said: str, tmp_path: Path
) -> None:
    save_file(held, tmp_path / "bad.safetensors")
    words = ["generate", "--class", "mug", "--embedding-dir", tmp_path, "--dry-run"]
    assert visuals(*words).exit_code == 0, "no prompt names it"
    for named in (("--prompt", "{class}, {red|bad}"), ("--set", "classes.mug.edit=bad")):
        done = visuals(*words, *named)
        assert done.exit_code == 2 and said in done.stderr
        assert "Traceback" not in done.output and done.stderr.startswith("visuals: ")
