"""Runs on single files as A1111's users have them: a .ckpt base, a .pt VAE, a .pth ControlNet."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from helpers import a1111_files
from helpers.command_line import visuals
from PIL import Image
from safetensors.torch import save_file

from visuals.checkpoints import load, reference_configs
from visuals.checkpoints.catalog.names import resolve
from visuals.checkpoints.formats import convert_pickle
from visuals.pipeline.diagnostics import doctor

FEW = ("--set", "generate.steps=2", "--set", "rerender.steps=2")
SMALL = ("--set", "generate.width=64", "--set", "generate.height=64")
PLAIN = ("--prompt", "a mug", "--class", "mug", "--count", "1")


def done(*arguments: object) -> str:
    result = visuals(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    result = visuals(*arguments)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("visuals: ")]
    errors = [line for line in lines if not line.startswith("visuals: note: ")]
    assert len(errors) == 1 and "Traceback" not in result.output
    return errors[0]


@pytest.fixture
def ckpt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A narrow SD 1.5 as a .ckpt."""
    monkeypatch.setitem(reference_configs.read("sd15"), "components", a1111_files.narrow("sd15"))
    state = a1111_files.weights_of(a1111_files.random("sd15", tmp_path / "config"))
    file = tmp_path / "dreamy.ckpt"
    torch.save({"state_dict": {n: v.half() for n, v in state.items()}, "epoch": 1}, file)
    return file


def test_a_ckpt_draws_where_it_is_allowed(mini: Path, ckpt: Path, tmp_path: Path) -> None:
    words = ("generate", *PLAIN, *FEW, *SMALL, "--set", f"generate.model={ckpt}", "--out", "drawn")
    said = refused(*words)
    assert "dreamy.ckpt: a pickle, which could run code" in said and "--allow-pickle" in said
    shutil.rmtree("drawn", ignore_errors=True)
    done(*words, "--allow-pickle")
    assert "2 of 75 tokens" in done("prompt", "a mug", "--set", f"generate.model={ckpt}")
    (picture,) = Path("drawn/images").glob("*.png")
    text = Image.open(picture).info["parameters"]
    hash_ = hashlib.sha256(ckpt.read_bytes()).hexdigest()[:10]
    assert f"Model hash: {hash_}, Model: dreamy" in text

    sent = tmp_path / "sent.png"  # a picture from elsewhere allows nothing by itself
    shutil.copy(picture, sent)
    assert "--allow-pickle" in refused("replay", sent, "--out", "refused")
    done("replay", sent, "--allow-pickle", "--out", "again")
    (again,) = Path("again/images").glob("*.png")
    assert np.array_equal(np.asarray(Image.open(again)), np.asarray(Image.open(picture)))
    assert len(list(convert_pickle.folder().iterdir())) == 1


def test_all_three_files_re_render_a_photo(mini: Path, ckpt: Path, tmp_path: Path) -> None:
    from diffusers import ControlNetModel

    base = load.load_text_to_image(ckpt, allow_pickle=True)
    torch.manual_seed(1)
    net = ControlNetModel.from_unet(base.unet).state_dict()
    torch.save(a1111_files.controlnet(net), tmp_path / "control_v11p_sd15_canny.pth")
    vae = {
        n.removeprefix("first_stage_model."): v
        for n, v in a1111_files.vae(base.vae.state_dict()).items()
    }
    save_file({n: v.contiguous() for n, v in vae.items()}, tmp_path / "kl-f8.safetensors")
    preset = {
        "base": "mini",
        "generate": {"model": str(ckpt), "vae": str(tmp_path / "kl-f8.safetensors")},
        "controls": {"canny": {"model": str(tmp_path / "control_v11p_sd15_canny.pth")}},
        "run": {"allow_pickle": True},
    }
    Path("mine.yaml").write_text(yaml.safe_dump({**preset, "run": {}}))
    told = visuals("config", "validate", "mine.yaml")
    assert told.exit_code == 2 and told.output.count("a pickle, which could run code") == 2
    Path("mine.yaml").write_text(yaml.safe_dump(preset))
    done("config", "validate", "mine.yaml")
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(photo).save("photo.png")
    mask = np.zeros((96, 96), np.uint8)
    mask[30:70, 30:70] = 255
    Image.fromarray(mask).save("mask.png")
    words = ("enhance", "photo.png", "--mask", "mask.png", "--class", "mug", "--prompt", "a mug")
    done(*words, *FEW, "--preset", "mine.yaml", "--out", "out")
    (line,) = map(json.loads, Path("out/manifest.jsonl").read_text().splitlines())
    assert line["status"] == "enhanced" and line["metrics"]["changed_outside"] == 0
    result = np.asarray(Image.open(Path("out") / line["files"]["result"]))
    assert (result != photo)[35:65, 35:65].any()
    need = doctor.need("mine.yaml", doctor.Device("cpu", "", "float32", 8.0, 8.0))
    assert not need.broken and not need.missing


def test_a_lora_that_does_not_fit_a_ckpt_is_refused_before_it_is_loaded(
    mini: Path, ckpt: Path
) -> None:
    words = ("--prompt", "a mug <lora:ppzmini:1>", "--class", "mug", "--allow-pickle")
    said = refused("generate", *words, "--set", f"generate.model={ckpt}", "--out", "out")
    assert "ppzmini" in said and "cross-attention 32" in said
    assert not convert_pickle.folder().exists()


def test_a_training_upon_a_ckpt(mini: Path, ckpt: Path) -> None:
    from visuals.pipeline.web.tabs.train import form

    photos = Path("photos")
    photos.mkdir()
    for number in range(2):
        pixels = np.full((64, 64, 3), 90 * number, np.uint8)
        Image.fromarray(pixels).save(photos / f"{number}.png")
        (photos / f"{number}.txt").write_text("a mug")
    settings: dict[str, Any] = {
        "pretrained_model_name_or_path": str(ckpt),
        "train_data_dir": "photos",
        "output_dir": "look",
        "network_dim": 2,
        "resolution": 64,
        "max_train_steps": 1,
        "checkpointing_steps": None,
        "save_every_n_epochs": None,
    }
    Path("look.yaml").write_text(yaml.safe_dump(settings))
    assert "a pickle, which could run code" in refused("train", "look.yaml")
    done("train", "look.yaml", "--allow-pickle")
    assert Path("look/look.safetensors").is_file()
    with pytest.raises(ValueError, match="the page does not set it"):
        form.more_of(Path("runs"), "allow_pickle: true")


def test_what_a_file_is_stands_in_its_info(ckpt: Path, mini: Path) -> None:
    vae = resolve("mini/sd") + "/vae/diffusion_pytorch_model.safetensors"
    told = json.loads(done("checkpoints", "info", vae, "--json"))
    assert (told["kind"], told["where"]) == ("vae", "local")
    told = json.loads(done("checkpoints", "info", ckpt, "--json"))
    assert (told["kind"], told["where"]) == ("model", "local")
    assert "is a pickle, which could run code" in refused("checkpoints", "add", "mine", ckpt)
    assert "no file 'gone.ckpt'" in refused("checkpoints", "info", "gone.ckpt")
