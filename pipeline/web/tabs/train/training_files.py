"""Trainings of the studio: a YAML file, the command that trains by it, and what it leaves.

`loras/NAME.yaml` beside the runs holds the settings, `loras/NAME/` what the trainer writes. So a
training is the same with the page, without it, and after it. Knows files; no models, no pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from .....checkpoints import atomic_files
from .....configs.train import TrainSettings, check
from .....training.errors import TrainingError
from .....training.loop import checkpoint
from ...files import lora_library
from ...queue.commands import Command
from . import datasets

_SAMPLE = re.compile(r"(.*)-(\d{6})-(\d{2,})-([\d.e-]+)\.png")
Point = tuple[float, float]


@dataclass(frozen=True)
class TrainCommand(Command):
    """A call of `visuals train`. `config`: the YAML file; `out`, which is not said: its folder."""

    command: str = "train"
    config: str = ""
    resume: bool = False
    gentle: ClassVar[bool] = True
    when_stopped: ClassVar[str] = "stopped; Resume goes on from the last checkpoint"

    def words(self) -> list[str]:
        return [self.command, self.config, *(["--resume"] if self.resume else [])]

    def task(self) -> dict[str, Any]:
        return {"kind": "train", "config": self.config, "resume": self.resume}


@dataclass(frozen=True)
class Sample:
    """A validation picture. `prompt` counts from 1."""

    path: Path
    epoch: int
    prompt: int
    weight: float


@dataclass(frozen=True)
class Training:
    """A training as its files show it. `loss`, `held_out`: (step, value); `lora`: the finished
    file, None before the end; `checkpoints`: steps that Resume can go on from."""

    name: str
    folder: Path
    values: Mapping[str, Any]
    loss: tuple[Point, ...]
    held_out: tuple[Point, ...]
    samples: tuple[Sample, ...]
    checkpoints: tuple[int, ...]
    lora: Path | None

    @property
    def tag(self) -> str:
        """The activation tag, where it is known."""
        return str(self.values.get("trigger_phrase") or "")


def names(root: Path) -> list[str]:
    """The trainings here, the one written last first."""
    found = list(lora_library.folder(root).glob("*.yaml"))
    return [p.stem for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]


def config_of(root: Path, name: str) -> Path:
    """The YAML file of a training; raises DatasetError for what is no name."""
    return lora_library.folder(root) / f"{datasets.plain_name(name, 'name of the LoRA')}.yaml"


def text_of(values: Mapping[str, Any]) -> str:
    """Settings as the YAML file has them: what is None or empty is left out."""
    told = {k: v for k, v in values.items() if v is not None and v != "" and v != []}
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, default_flow_style=None)


def write(root: Path, values: Mapping[str, Any]) -> TrainSettings:
    """Write the file of a training, checked; raises SettingsError, DatasetError."""
    told = yaml.safe_load(text_of(values))
    settings = check(told)
    atomic_files.write(config_of(root, settings.name), text_of(values).encode())
    return settings


def order(root: Path, name: str, *, resume: bool) -> TrainCommand:
    """The command of a training; raises TrainingError where it is to begin upon another one, or to
    go on from nothing."""
    folder = lora_library.folder(root) / name
    there = checkpoint.checkpoints(folder)
    if not resume and (there or (folder / f"{name}.safetensors").is_file()):
        what = there[-1].name if there else f"{name}.safetensors"
        raise TrainingError(
            f"{folder} holds a training already ({what}): Resume goes on with it; "
            "to begin anew take another name"
        )
    if resume and not there:
        raise TrainingError(f"{folder} holds no checkpoint yet: expected one to go on from; Start")
    return TrainCommand(config=str(config_of(root, name)), resume=resume)


def read(root: Path, name: str) -> Training | None:
    """A training by its name, whatever of it is there; None where there is no such file."""
    try:
        config = config_of(root, name)
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (ValueError, OSError, yaml.YAMLError):
        return None
    if not isinstance(values, dict):
        return None
    folder = lora_library.folder(root) / name
    rows = _rows(folder / "log.jsonl")
    lora = folder / f"{name}.safetensors"
    steps = [int(p.name.rpartition("-")[2]) for p in checkpoint.checkpoints(folder)]
    return Training(
        name=name,
        folder=folder,
        values=values,
        loss=_points(rows, "loss"),
        held_out=_points(rows, "val_loss"),
        samples=_samples(folder / "samples"),
        checkpoints=tuple(steps),
        lora=lora if lora.is_file() else None,
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # the line that is being written
    return rows


def _points(rows: list[dict[str, Any]], name: str) -> tuple[Point, ...]:
    return tuple(sorted({row["step"]: row[name] for row in rows if name in row}.items()))


def _samples(folder: Path) -> tuple[Sample, ...]:
    """Newest epoch first."""
    matched = [(p, _SAMPLE.fullmatch(p.name)) for p in folder.glob("*.png")]
    made = [Sample(p, int(m[2]), int(m[3]) + 1, float(m[4])) for p, m in matched if m is not None]
    return tuple(sorted(made, key=lambda s: (-s.epoch, s.prompt, s.weight)))
