"""`visuals train` from the command line."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.command_line import visuals
from helpers.small_trainings import small, write_photos
from PIL import Image

from visuals.pipeline.images.contact_sheet import sheet
from visuals.training.datasets.dataset_folder import read_dataset

pytestmark = pytest.mark.usefixtures("loaded_models")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file of settings; output_dir is `out` beside it."""
    photos = write_photos(tmp_path / "photos")
    settings = small(
        photos,
        tmp_path / "out",
        max_train_steps=None,
        num_train_epochs=2,
        validation_split=0.2,
        validation_prompts=["ppzlook, a red mug"],
        validation_weights=[0, 1],
        validation_inference_steps=2,
    )
    values = settings.model_dump(mode="json", exclude_defaults=True)
    path = tmp_path / "look.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_training_end_to_end(config: Path, mini: Path) -> None:
    result = visuals("train", config, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    out = config.parent / "out"
    assert (told["pictures"], told["epochs"], told["steps"]) == (4, 2, 4)
    for name in ("look.safetensors", "look-000001.safetensors", "pytorch_lora_weights.safetensors",
                 "log.jsonl", "loss.png", "train.yaml", "checkpoint-4/state.json"):  # fmt: skip
        assert (out / name).is_file(), name
    assert told["lora"] == str(out / "look.safetensors")
    with Image.open(told["grid"]) as grid:
        tiles = [np.zeros((64, 64, 3), np.uint8)] * 4
        titles = ["prompt 1, weight 0", "prompt 1, weight 1"], ["epoch 1", "epoch 2"]
        assert grid.size == sheet(tiles, *titles).shape[1::-1]
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows if "loss" in r] == [1, 2, 3, 4]
    assert [r["step"] for r in rows if "val_loss" in r] == [0, 2, 4]
    used = visuals(
        "generate", "--class", "mug", "--count", 1, "--prompt", "a {class} <lora:look:1>",
        "--set", f"generate.lora_dirs=[{out}]", "--set", "generate.steps=2", "--out", "run",
    )  # fmt: skip
    assert used.exit_code == 0, used.output
    twice = visuals("train", config)
    assert twice.exit_code == 2
    assert "holds a training already (checkpoint-4)" in twice.stderr
    more = visuals("train", config, "--resume", "--set", "num_train_epochs=3", "--json")
    assert more.exit_code == 0 and json.loads(more.stdout)["steps"] == 6


@pytest.mark.parametrize("output", ["loras/look", "", "reg"])
@pytest.mark.parametrize("layout", ["", "3_look"])
def test_what_a_training_writes_is_no_part_of_its_data_set(
    config: Path, mini: Path, layout: str, output: str
) -> None:
    """With output_dir, cache_dir and class_data_dir in train_data_dir it resumes; check agrees."""
    photos = config.parent / "photos"
    if layout:
        files = list(photos.iterdir())
        (photos / layout).mkdir()
        for file in files:
            file.rename(photos / layout / file.name)
    (photos / "cars").mkdir()
    for name in "ab":
        Image.new("RGB", (64, 64), "red").save(photos / "cars" / f"{name}.png")
    sets = {
        "output_dir": str(photos / output), "cache_dir": str(photos / "kept"),
        "cache_latents_to_disk": True, "with_prior_preservation": True, "class_prompt": "a car",
        "class_data_dir": str(photos / "cars"), "num_class_images": 2, "validation_split": 0,
        "max_train_steps": 2, "train_batch_size": 4, "validation_inference_steps": 1,
    }  # fmt: skip
    options = [part for k, v in sets.items() for part in ("--set", f"{k}={json.dumps(v)}")]
    first = visuals("train", config, *options, "--json")
    assert first.exit_code == 0, first.output
    done = json.loads(first.stdout)
    assert (done["pictures"], done["problems"], done["steps"]) == (7, [], 2)
    assert (photos / output / "loss.png").is_file() and (photos / output / "samples").is_dir()
    more = visuals("train", config, *options, "--resume", "--set", "max_train_steps=3", "--json")
    assert more.exit_code == 0, more.output
    assert (json.loads(more.stdout)["problems"], json.loads(more.stdout)["steps"]) == ([], 3)
    seen = read_dataset(photos, without=[photos / "cars", photos / "kept"])
    assert len(seen.items) == 5 and not seen.unused


def test_names_that_no_text_can_hold(config: Path, mini: Path) -> None:
    """Names that are not UTF-8 or hold control characters: trained on, resumed, printed escaped."""
    photos = config.parent / "photos"
    place = photos / os.fsdecode(b"3_caf\xe9")
    place.mkdir()
    for number, file in enumerate(sorted(photos.glob("0*"))):
        name = os.fsdecode(b"caf\xe9\n\x1b[31m") + file.name if number < 4 else file.name
        file.rename(place / name)
    (photos / "lost\n\x1b[31m.png").write_bytes(b"x")
    options = ("--set", "validation_prompts=[]", "--json")
    first = visuals("train", config, *options)
    assert first.exit_code == 0, first.output
    assert "left out: lost\\n\\x1b[31m.png" in first.stderr
    more = visuals("train", config, *options, "--resume", "--set", "num_train_epochs=3")
    assert more.exit_code == 0, more.output
    shown = visuals("dataset", "check", photos, "--resolution", "64")
    edited = visuals("dataset", "caption", photos, "--no-model", "--replace", "mug=cup",
                     "--format", "metadata", "--preview", "9")  # fmt: skip
    written = visuals("dataset", "caption", photos, "--no-model", "--replace", "mug=cup",
                      "--format", "metadata")  # fmt: skip
    for result in (shown, edited, written):
        assert result.exit_code == 0, result.output
        assert "\x1b[31m" not in result.output
    seen = read_dataset(photos)
    assert len(seen.items) == 5 and not seen.problems


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("rnk=4", "unknown setting 'rnk'; did you mean 'rank'?"),
        ("resolution=100", "resolution 100: expected a multiple of 8"),
        ("train_data_dir=nowhere", "no folder 'nowhere'"),
        ("model=mini/sdx", "unknown model 'mini/sdx'; did you mean 'mini/sd'?"),
        ("optimizer_type=AdamW8bit", "needs an NVIDIA GPU"),
        ("mixed_precision=fp16", "mixed_precision 'fp16' needs a GPU"),
        ("target_modules=to_z", "target_modules 'to_z': no such layer"),
        ("masked_loss=true", "masked_loss, and no picture has a mask"),
    ],
)
def test_mistakes_are_one_line(config: Path, mini: Path, change: str, told: str) -> None:
    result = visuals("train", config, "--set", change)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert not (config.parent / "out" / "look.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "library", "extra"),
    [
        ("optimizer_type=Prodigy", "prodigyopt", "train"),
        ("report_to=tensorboard", "tensorboard", "train"),
        ("report_to=wandb", "wandb", "wandb"),
    ],
)
def test_missing_libraries_name_their_extra(
    config: Path, mini: Path, change: str, library: str, extra: str
) -> None:
    if importlib.util.find_spec(library):
        pytest.skip(f"{library} is installed")
    result = visuals("train", config, "--set", change)
    assert result.exit_code == 1, result.output
    assert f"{library} is not installed; pip install 'product-visuals[{extra}]'" in result.stderr
    assert not (config.parent / "out" / "look.safetensors").exists()


def test_num_processes_names_torchrun(config: Path) -> None:
    result = visuals("train", config, "--num_processes", 2)
    assert result.exit_code == 2
    assert f"torchrun --nproc_per_node 2 -m visuals train {config}" in result.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer_type": "Adafactor", "gradient_checkpointing": True, "text_encoder_lr": 1e-4},
        {"color_jitter": True, "mixed_precision": "bf16", "lr_scheduler": "polynomial"},
        {"prediction_type": "epsilon", "clip_skip": 2, "max_token_length": 150},
        {"mixed_precision": "bf16", "clip_skip": 2, "text_encoder_lr": 1e-4,
         "validation_prompts": ["ppzlook, a mug"], "validation_inference_steps": 1},
    ],
    ids=lambda c: next(iter(c)),
)  # fmt: skip
def test_other_ways_to_train(config: Path, mini: Path, changes: dict[str, object]) -> None:
    sets = [part for k, v in changes.items() for part in ("--set", f"{k}={json.dumps(v)}")]
    result = visuals(
        "train", config, "--set", "max_train_steps=2", "--set", "validation_prompts=[]", *sets,
        "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["loss"] > 0
