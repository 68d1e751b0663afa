"""Training in two processes started by torchrun."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers.small_trainings import small, write_photos
from safetensors.torch import load_file

from visuals.training.train_lora import Trained, train_lora

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


CHANGES: dict[str, Any] = {
    "max_train_steps": 4,
    "learning_rate": 1e-4,
    "text_encoder_lr": 5e-5,
    "snr_gamma": 5,
    "validation_split": 0.2,
    "validation_prompts": ["a mug"],
    "validation_inference_steps": 1,
    "validation_weights": [1.0],
}


@pytest.fixture(scope="module")
def one_and_two(
    tmp_path_factory: pytest.TempPathFactory, mini: Path
) -> tuple[Trained, Path, dict[str, Any]]:
    """A training in one process, and the folder and report of the same in two.

    One of six pictures is held out: of the second batch of 4 one process has no picture.
    """
    folder = tmp_path_factory.mktemp("processes")
    photos = write_photos(folder / "photos")
    for ending in ("png", "txt"):
        shutil.copy(photos / f"04-teal-mug.{ending}", photos / f"07-teal-mug.{ending}")
    one = train_lora(small(photos, folder / "one", train_batch_size=4, **CHANGES))
    settings = small(photos, folder / "two", train_batch_size=2, **CHANGES)
    file = folder / "two.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_defaults=True)))
    running = subprocess.Popen(
        [*TORCHRUN, "-m", "visuals", "train", str(file), "--json"],
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        output, _ = running.communicate(timeout=600)
    finally:
        running.kill()
    assert running.returncode == 0
    return one, folder / "two", json.loads(output)


@pytest.mark.slow
def test_two_processes_equal_one_at_twice_the_batch(
    one_and_two: tuple[Trained, Path, dict[str, Any]],
) -> None:
    one, two, _ = one_and_two
    assert one.pictures == 5
    mine, other = load_file(two / "look.safetensors"), load_file(one.lora)
    assert mine.keys() == other.keys()
    rows = [json.loads(line) for line in (two / "log.jsonl").open()]
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    for (mine_step, mine_loss), (step, loss) in zip(losses, one.losses, strict=True):
        assert mine_step == step and abs(mine_loss - loss) < 1e-5 * loss
    for key, value in other.items():
        torch.testing.assert_close(mine[key], value, rtol=0, atol=1e-5, msg=key)


@pytest.mark.slow
def test_validation_in_one_process_does_not_block_the_others(
    one_and_two: tuple[Trained, Path, dict[str, Any]],
) -> None:
    """A trained text encoder is wrapped for data parallelism: each call waits for all processes."""
    one, _, report = one_and_two
    assert report["val_loss"] == pytest.approx(one.held_out[-1][1], rel=1e-4) and report["grid"]
