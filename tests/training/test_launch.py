"""Two processes learn what one learns at twice the batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from helpers.small_trainings import small, write_photos
from safetensors.torch import load_file

from visuals.training import launch
from visuals.training.train_lora import train_lora

ACCELERATE = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([sys.executable], ["--num_processes", "2"]),
        ([*ACCELERATE, "--cpu", "--num_processes", "2"], []),
    ],
    ids=["visuals", "accelerate"],
)
def test_two_processes_equal_one_at_twice_the_batch(
    tmp_path: Path, mini: Path, before: list[str], after: list[str]
) -> None:
    """Five pictures in batches of 4: in the second, one process has no picture."""
    photos = write_photos(tmp_path / "photos")
    changes = {"max_train_steps": 4, "text_encoder_lr": 5e-5, "snr_gamma": 5, "learning_rate": 1e-4}
    one = train_lora(small(photos, tmp_path / "one", train_batch_size=4, **changes))
    settings = small(photos, tmp_path / "two", train_batch_size=2, **changes)
    file = tmp_path / "two.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_defaults=True)))
    done = subprocess.run(
        [*before, "-m", "visuals", "train", str(file), *after],
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
def test_one_process_looks_and_the_others_do_not_wait_for_ever(tmp_path: Path, mini: Path) -> None:
    """Text encoders that learn are wrapped, and a wrapper speaks with all at each call."""
    settings = small(
        write_photos(tmp_path / "photos"), tmp_path / "out", train_batch_size=1, max_train_steps=2,
        text_encoder_lr=5e-5, validation_split=0.2, validation_prompts=["a mug"],
        validation_inference_steps=1, validation_weights=[1.0],
    )  # fmt: skip
    file = tmp_path / "two.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_defaults=True)))
    words = [sys.executable, "-m", "visuals", "train", str(file), "--num_processes", "2", "--json"]
    running = subprocess.Popen(
        words, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = running.communicate(timeout=600)
    finally:
        running.kill()
    told = json.loads(said)
    assert running.returncode == 0 and told["val_loss"] and told["grid"]


def test_one_that_fails_ends_the_others_and_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    """The second fails; the first would wait for it."""
    text = (
        "import os, sys, time\n"
        "if os.environ['RANK'] == '1': sys.exit('no picture 7')\n"
        "time.sleep(600)"
    )
    started = time.monotonic()
    assert launch.launch([sys.executable, "-c", text], 2) == 1
    assert time.monotonic() - started < 60
    assert "no picture 7" in capfd.readouterr().err


def test_a_mistake_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "look.yaml"
    file.write_text(
        f"model: mini/sd\ntrain_data_dir: {tmp_path}/none\noutput_dir: {tmp_path}/out\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "visuals", "train", str(file), "--num_processes", "2"],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("no folder") == 1 and "Traceback" not in done.stderr


OF_ACCELERATE = ("WORLD_SIZE", "MASTER_ADDR", "ACCELERATE_MIXED_PRECISION")


def test_accelerate_is_seen_by_what_it_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OF_ACCELERATE:
        monkeypatch.delenv(name, raising=False)
    assert launch.asked_by_accelerate() == 1
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert launch.asked_by_accelerate() == 1
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert launch.asked_by_accelerate() is None  # pytest's parent is no accelerate
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launch.asked_by_accelerate() == 1


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["python", "/bin/accelerate", "launch", "--cpu", "--num_processes", "3", "-m", "x"], 3),
        (["python", "/bin/accelerate-launch", "--cpu", "--num_processes=2", "x.py"], 2),
        (["python", "-m", "accelerate.commands.launch", "--cpu", "--num-processes", "2", "x"], 2),
        (["python", "/bin/accelerate", "launch", "--num_machines", "2", "--num_processes", "4",
          "x.py", "--num_processes", "9"], None),
        (["mpirun", "-n", "2", "python", "x.py"], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_number_that_accelerate_was_asked_for(words: list[str], count: int | None) -> None:
    assert launch._number_asked(words) == count


def test_the_number_in_accelerates_file(tmp_path: Path) -> None:
    file = tmp_path / "cpu.yaml"
    file.write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_CPU\ndebug: false\n"
        "mixed_precision: 'no'\nuse_cpu: true\nnum_processes: 4\n"
    )
    words = ["python", "/bin/accelerate", "launch", "--config_file", str(file), "-m", "visuals"]
    assert launch._number_asked(words) == 4
