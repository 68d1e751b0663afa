"""Training in two processes started by torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from helpers.small_trainings import small, write_photos
from safetensors.torch import load_file

from visuals.training.train_lora import train_lora

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.mark.slow
def test_two_processes_equal_one_at_twice_the_batch(tmp_path: Path, mini: Path) -> None:
    """Five pictures in batches of 4: in the second, one process has no picture."""
    photos = write_photos(tmp_path / "photos")
    changes = {"max_train_steps": 4, "text_encoder_lr": 5e-5, "snr_gamma": 5, "learning_rate": 1e-4}
    one = train_lora(small(photos, tmp_path / "one", train_batch_size=4, **changes))
    settings = small(photos, tmp_path / "two", train_batch_size=2, **changes)
    file = tmp_path / "two.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_defaults=True)))
    done = subprocess.run(
        [*TORCHRUN, "-m", "visuals", "train", str(file)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    mine, other = load_file(tmp_path / "two" / "look.safetensors"), load_file(one.lora)
    assert mine.keys() == other.keys()
    rows = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").open()]
    for row, (step, loss) in zip(rows, one.losses, strict=True):
        assert row["step"] == step and abs(row["loss"] - loss) < 1e-5 * loss
    for key, value in other.items():
        torch.testing.assert_close(mine[key], value, rtol=0, atol=1e-5, msg=key)


@pytest.mark.slow
def test_validation_in_one_process_does_not_block_the_others(tmp_path: Path, mini: Path) -> None:
    """A trained text encoder is wrapped for data parallelism: each call waits for all processes."""
    settings = small(
        write_photos(tmp_path / "photos"), tmp_path / "out", train_batch_size=1, max_train_steps=2,
        text_encoder_lr=5e-5, validation_split=0.2, validation_prompts=["a mug"],
        validation_inference_steps=1, validation_weights=[1.0],
    )  # fmt: skip
    file = tmp_path / "two.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_defaults=True)))
    command = [*TORCHRUN, "-m", "visuals", "train", str(file), "--json"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = running.communicate(timeout=600)
    finally:
        running.kill()
    record = json.loads(output)
    assert running.returncode == 0 and record["val_loss"] and record["grid"]
