"""A training that is interrupted and resumed is the training that was not."""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.small_trainings import small, write_photos
from safetensors.torch import load_file

from visuals.configs.schema import SettingsError
from visuals.configs.train import TrainSettings
from visuals.training.errors import (
    DivergedError,
    TrainingError,
    TrainingMemoryError,
    TrainingStopped,
    TrainingWriteError,
)
from visuals.training.loop import checkpoint
from visuals.training.train_lora import Trained, train_lora

# Everything that draws random numbers or keeps a state is on.
CHANCY = {
    "max_train_steps": 9,
    "text_encoder_lr": 1e-3,
    "lora_dropout": 0.2,
    "shuffle_caption": True,
    "keep_tokens": 1,
    "caption_dropout_rate": 0.2,
    "random_flip": True,
    "noise_offset": 0.1,
    "snr_gamma": 5,
    "use_ema": True,
    "gradient_accumulation_steps": 2,
    "validation_split": 0.2,
    "lr_scheduler": "cosine_with_restarts",
    "lr_num_cycles": 2,
    "lr_warmup_steps": 2,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="module")
def whole(data: Path, mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training that nothing interrupted."""
    return train_lora(small(data, tmp_path_factory.mktemp("whole"), **CHANCY))


def interrupted(settings: TrainSettings, step: int) -> TrainingStopped:
    """Train until Ctrl-C is pressed while `step` is on its way."""

    def press(stage: str, done: int, total: int) -> None:
        if stage == "train" and done == step - 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingStopped) as stopped:
        train_lora(settings, progress=press)
    return stopped.value


def test_interrupted_at_three_random_points(data: Path, whole: Trained, tmp_path: Path) -> None:
    points = [k + p for k, p in enumerate(sorted(random.sample(range(2, 7), 3)))]
    settings: dict[str, Any] = {**CHANCY, "resume_from_checkpoint": "latest"}
    for point in points:
        stopped = interrupted(small(data, tmp_path, **settings), point)
        assert stopped.step == point
        assert stopped.checkpoint == tmp_path / f"checkpoint-{point}"
    done = train_lora(small(data, tmp_path, **settings))
    mine, never = load_file(done.lora), load_file(whole.lora)
    assert mine.keys() == never.keys()
    assert [k for k in never if not torch.equal(mine[k], never[k])] == [], points
    assert any(value.abs().max() > 0 for k, value in never.items() if "lora_up" in k)
    assert done.losses == whole.losses
    assert done.held_out == whole.held_out


def test_what_a_kill_left_does_no_harm(data: Path, mini: Path, tmp_path: Path) -> None:
    """A half-written checkpoint and a cut line of the log, as after kill -9."""
    settings = {"checkpointing_steps": 2, "resume_from_checkpoint": "latest"}
    train_lora(small(data, tmp_path, max_train_steps=4, **settings))
    half = tmp_path / ".checkpoint-6.part"
    half.mkdir()
    (half / "state.pt").write_bytes(b"half")
    shutil.copytree(tmp_path / "checkpoint-4", tmp_path / "checkpoint-6")
    (tmp_path / "checkpoint-6" / "state.json").unlink()  # it is written last
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "loss": 0.1}\n{"st')
    done = train_lora(small(data, tmp_path, **settings))
    assert done.steps == 7 and not half.exists()
    assert [step for step, _ in done.losses] == [1, 2, 3, 4, 5, 6, 7]


def test_the_oldest_checkpoints_go(data: Path, mini: Path, tmp_path: Path) -> None:
    settings = small(
        data, tmp_path, max_train_steps=3, checkpointing_steps=1, checkpoints_total_limit=2
    )
    train_lora(settings)
    assert [p.name for p in checkpoint.checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-3"]


def test_what_was_changed_is_named(data: Path, mini: Path, tmp_path: Path) -> None:
    mine, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(data, mine)
    first = {"max_train_steps": 1, "checkpointing_steps": 1}
    train_lora(small(mine, out, **first))
    with pytest.raises(TrainingError, match=r"holds a training already \(checkpoint-1\).*latest"):
        train_lora(small(mine, out, **first))
    again = {"resume_from_checkpoint": "latest"}
    with pytest.raises(TrainingError, match=r"other settings .rank was 2, is 4"):
        train_lora(small(mine, out, rank=4, **again))
    (mine / "04-teal-mug.txt").write_text("another caption\n")
    (mine / "05-brown-bottle.png").unlink()
    with pytest.raises(
        TrainingError,
        match=r"1 gone: 05-brown-bottle.png; 1 changed: 04-teal-mug.png\): restore it",
    ):
        train_lora(small(mine, out, **again))
    with pytest.raises(TrainingError, match=r"no such checkpoint .*there: checkpoint-1"):
        train_lora(small(mine, out, resume_from_checkpoint="checkpoint-9"))


def test_a_rate_may_be_lowered(data: Path, mini: Path, tmp_path: Path) -> None:
    train_lora(small(data, tmp_path, max_train_steps=2))
    lowered = small(
        data, tmp_path, max_train_steps=4, learning_rate=1e-4, resume_from_checkpoint="latest"
    )
    train_lora(lowered)
    rows = (tmp_path / "log.jsonl").read_text().splitlines()
    assert ['"lr": 0.002' in row for row in rows] == [True, True, False, False]
    assert ['"lr": 0.0001' in row for row in rows] == [False, False, True, True]


def test_a_loss_that_is_no_number_stops(data: Path, mini: Path, tmp_path: Path) -> None:
    wrong = small(data, tmp_path / "early", learning_rate=1e30, checkpointing_steps=None)
    with pytest.raises(
        DivergedError, match=r"no checkpoint was written yet: lower .*, then start again"
    ):
        train_lora(wrong)
    settings = small(data, tmp_path, learning_rate=1e30, checkpointing_steps=1)
    with pytest.raises(
        DivergedError, match=r"not a number at step 2; checkpoint-1 is kept: lower lea"
    ):
        train_lora(settings)
    assert checkpoint.read(tmp_path / "checkpoint-1").step == 1
    assert not (tmp_path / "look.safetensors").exists()


def test_a_training_that_does_not_fit_says_what_takes_less(
    data: Path, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(trainer: Any, *_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(torch.Tensor, "backward", full)
    expected = "no checkpoint was written yet: .*gradient_checkpointing: true.*, then start again"
    with pytest.raises(TrainingMemoryError, match=expected):
        train_lora(small(data, tmp_path / "out"))


def test_a_full_disk_keeps_what_was_whole(data: Path, mini: Path, tmp_path: Path) -> None:
    """A limit of the size of files stands in for the disk's."""
    resource = pytest.importorskip("resource")
    train_lora(small(data, tmp_path, max_train_steps=2))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    held = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(
            TrainingWriteError, match=r"disk is full\); checkpoint-2 is kept: make room"
        ):
            train_lora(
                small(
                    data,
                    tmp_path,
                    checkpointing_steps=1,
                    save_every_n_epochs=None,
                    resume_from_checkpoint="latest",
                )
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, held)
    assert [p.name for p in checkpoint.checkpoints(tmp_path)] == ["checkpoint-2"]
    assert not list(tmp_path.glob(".*.part"))
    done = train_lora(small(data, tmp_path, resume_from_checkpoint="latest"))
    assert done.steps == 7


@pytest.mark.parametrize(
    "name",
    ["train.yaml", "log.jsonl", "loss.png", "samples/x.png", "pytorch_lora_weights.safetensors",
     "look-000001.safetensors", "look.safetensors"],
)  # fmt: skip
def test_files_of_others_are_not_written_over(data: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    if name == "train.yaml":
        (tmp_path / "log.jsonl").write_text("mine")
    elif name.endswith(".safetensors"):  # of a training of which no checkpoint is left
        (tmp_path / "train.yaml").write_text(f"train_data_dir: {data}")
        (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(TrainingError, match=r"^output_dir .* holds .*set"):
        train_lora(small(data, tmp_path))
    assert path.read_text() == "mine"


def test_settings_beside_files_of_the_user_are_no_begun_training(
    data: Path, tmp_path: Path
) -> None:
    mine = f"# my settings\ntrain_data_dir: {data}\noutput_dir: .\n"
    (tmp_path / "train.yaml").write_text(mine)
    (tmp_path / "log.jsonl").write_text("{}\n")
    with pytest.raises(TrainingError, match="would write over"):
        train_lora(small(data, tmp_path))
    assert (tmp_path / "train.yaml").read_text() == mine


@pytest.mark.parametrize("name", ["../look", "/look", "a/b", "..", "a\\b", "n" * 300])
def test_the_name_of_a_lora_is_no_path(name: str) -> None:
    with pytest.raises(SettingsError, match="without a folder"):
        small(Path("photos"), Path("out"), output_name=name)
