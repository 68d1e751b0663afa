"""Trainings of the studio on the disk: a YAML file of settings, and what the trainer writes.

`loras/NAME.yaml` beside the runs holds the settings, `loras/NAME/` the results. So a training is
the same with the page, without it, and after it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .....checkpoints import atomic_files
from .....configs.schema import read_yaml
from .....configs.text_files import parse_yaml
from .....configs.train import TrainSettings, check
from .....training.errors import TrainingError
from .....training.loop import checkpoint
from ....runs import jsonl
from ...files import lora_library
from ...queue.requests import TrainRequest
from . import datasets

_SAMPLE = re.compile(r"(.*)-(\d{6})-(\d{2,})-([\d.e-]+)\.png")
Point = tuple[float, float]


@dataclass(frozen=True)
class Training:
    """A training as its files show it.

    `loss` and `held_out` hold (step, loss), `samples` (validation picture, caption), newest first,
    `checkpoints` steps that can be resumed; `lora` is the finished file.
    """

    name: str
    folder: Path
    values: Mapping[str, Any]
    loss: tuple[Point, ...]
    held_out: tuple[Point, ...]
    samples: tuple[tuple[str, str], ...]
    checkpoints: tuple[int, ...]
    lora: Path | None

    @property
    def tag(self) -> str:
        """The activation tag, "" where it is unknown."""
        return str(self.values.get("trigger_phrase") or "")

    @property
    def status(self) -> str:
        """What is known of a training that no job works on."""
        if self.lora is not None:
            return f"Done: {self.lora}"
        if self.checkpoints:
            return f"Stopped; Resume continues from step {self.checkpoints[-1]}"
        return "Not begun, or stopped before anything was saved"

    def called_in(self, prompt: str) -> str:
        """Return a prompt that uses the LoRA: its tag first, `<lora:name:1>` last."""
        if self.tag and self.tag not in prompt:
            prompt = f"{self.tag}, {prompt}" if prompt.strip() else self.tag
        return prompt if f"<lora:{self.name}:" in prompt else f"{prompt}, <lora:{self.name}:1>"


def names(root: Path) -> list[str]:
    """Return the names of the trainings, the one written last first."""
    found = [p for p in lora_library.folder(root).glob("*.yaml") if p.is_file()]
    return [p.stem for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]


def config_of(root: Path, name: str) -> Path:
    """Return the YAML file of a training; raises DatasetError for what is no name."""
    return lora_library.folder(root) / f"{datasets.plain_name(name, 'name of the LoRA')}.yaml"


def text_of(values: Mapping[str, Any]) -> str:
    """Return settings as YAML, without those that are None or empty."""
    given = {k: v for k, v in values.items() if v not in (None, "", [])}
    return yaml.safe_dump(given, sort_keys=False, allow_unicode=True, default_flow_style=None)


def write(root: Path, values: Mapping[str, Any]) -> TrainSettings:
    """Check the settings of a training and write its file; raises SettingsError, DatasetError."""
    text = text_of(values)
    settings = check(parse_yaml(text))
    atomic_files.write(config_of(root, settings.name), text.encode())
    return settings


def request_of(root: Path, name: str, *, resume: bool) -> TrainRequest:
    """Return the request for a training.

    Raises:
        TrainingError: it would overwrite a training, or there is nothing to resume.
    """
    folder = lora_library.folder(root) / name
    saved = checkpoint.checkpoints(folder)
    if not resume and (saved or (folder / f"{name}.safetensors").is_file()):
        what = saved[-1].name if saved else f"{name}.safetensors"
        raise TrainingError(
            f"{folder} holds a training already ({what}): Resume continues it; "
            "to begin anew take another name"
        )
    if resume and not saved:
        raise TrainingError(f"{folder} holds no checkpoint to resume: expected one; press Start")
    return TrainRequest(str(config_of(root, name)), resume)


def read(root: Path, name: str) -> Training | None:
    """Return a training by its name; None where it has no YAML file."""
    try:
        values = read_yaml(config_of(root, name), "the settings of a training")
    except ValueError:
        return None
    folder = lora_library.folder(root) / name
    rows = jsonl.whole_lines(folder / "log.jsonl")
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


def _points(rows: list[dict[str, Any]], name: str) -> tuple[Point, ...]:
    return tuple(sorted({row["step"]: row[name] for row in rows if name in row}.items()))


def _samples(folder: Path) -> tuple[tuple[str, str], ...]:
    matched = [(path, _SAMPLE.fullmatch(path.name)) for path in folder.glob("*.png")]
    keys = sorted((-int(m[2]), int(m[3]) + 1, float(m[4]), str(p)) for p, m in matched if m)
    return tuple(
        (path, f"epoch {-epoch} · prompt {prompt} · weight {weight:g}")
        for epoch, prompt, weight, path in keys
    )
