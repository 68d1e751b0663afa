"""Training checkpoints: save, find, read and compare them.

`checkpoint-N/` holds `state.pt` (weights, optimizer, moving average, loss scale), `state.json`
(step, settings, data set) and the LoRA with diffusers' keys. The order of the data and all random
numbers follow from seed and step (`datasets/sampling.py`), so neither is saved.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...checkpoints import atomic_files
from ...configs.errors import VisualsError, one_line
from ..errors import TrainingError, write_error
from ..lora import save as lora_save

MAY_CHANGE = frozenset(
    (
        "output_dir", "output_name", "trigger_phrase", "train_data_dir", "cache_latents",
        "cache_latents_to_disk", "cache_text_encoder_outputs", "cache_dir", "vae_batch_size",
        "learning_rate", "text_encoder_lr", "gradient_checkpointing", "num_train_epochs",
        "max_train_steps", "lr_scheduler", "lr_warmup_steps", "lr_num_cycles", "lr_power",
        "adam_beta1", "adam_beta2", "adam_weight_decay", "adam_epsilon", "max_grad_norm",
        "snr_gamma", "mixed_precision", "torch_compile", "device", "train_batch_size",
        "allow_pickle", "class_data_dir", "num_class_images", "checkpointing_steps",
        "checkpoints_total_limit",
        "resume_from_checkpoint", "save_every_n_epochs", "save_precision", "validation_steps",
        "validation_prompts", "validation_epochs", "validation_weights",
        "validation_inference_steps", "validation_cfg_scale", "report_to",
    )
)  # fmt: skip
"""Settings that may differ between a checkpoint and the training that resumes from it."""
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class TrainerState:
    """What a checkpoint stores.

    Attributes:
        step: Optimizer steps done.
        settings: Settings as plain values, `batch` (pictures a step, all processes) among them.
        data: Identity of each picture, by name (`TrainingSet.identity`).
        tensors: Contents of `state.pt`: `weights` and `optimizer`, and where they are in use
            `ema` and `scaler`.
        lora: The LoRA's tensors by diffusers' keys; empty in a state that was read.
    """

    step: int
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    tensors: Mapping[str, Any]
    lora: Mapping[str, Any]


def checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a training, oldest first."""
    matches = [(_NAME.fullmatch(p.name), p) for p in folder.glob("checkpoint-*")]
    complete = [(int(m[1]), p) for m, p in matches if m and (p / "state.json").is_file()]
    return [path for _, path in sorted(complete)]


def save(folder: Path, state: TrainerState, *, limit: int | None = None) -> Path:
    """Write `checkpoint-<step>` atomically, then delete the oldest beyond `limit`."""
    import torch
    from safetensors.torch import save as to_bytes

    path = folder / f"checkpoint-{state.step}"
    part = folder / f".{path.name}.part"
    for leftover in folder.glob(".checkpoint-*.part"):  # of a process that was killed
        shutil.rmtree(leftover)
    try:
        buffer = io.BytesIO()
        torch.save(dict(state.tensors), buffer)
        atomic_files.write(part / "state.pt", buffer.getvalue())
        lora = to_bytes(dict(state.lora), {"format": "pt"})
        atomic_files.write(part / lora_save.DIFFUSERS_NAME, lora)
        record = {"step": state.step, "settings": state.settings, "data": state.data}
        text = json.dumps(record, ensure_ascii=False, indent=1)
        atomic_files.write(part / "state.json", text.encode(errors="backslashreplace"))
        if path.exists():
            shutil.rmtree(path)
        part.rename(path)
        _sync(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for old in checkpoints(folder)[: -limit or None] if limit else ():
        if old != path:
            shutil.rmtree(old)
    return path


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    with contextlib.suppress(OSError):  # some file systems cannot
        os.fsync(handle)
    os.close(handle)


def find(folder: Path, name: str) -> Path | None:
    """Return a checkpoint by name or path; for `latest` the newest, or None if there is none."""
    paths = checkpoints(folder)
    if name == "latest":
        return paths[-1] if paths else None
    for path in (Path(name), folder / Path(name).name):
        if (path / "state.json").is_file():
            return path
    names = ", ".join(p.name for p in paths) or "none"
    raise TrainingError(
        f"resume_from_checkpoint {name!r}: no such checkpoint in {folder} (there: {names}); "
        "set latest"
    )


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError of the block into a TrainingWriteError that names the newest checkpoint."""
    try:
        yield
    except VisualsError:
        raise
    except OSError as error:
        raise write_error(error, folder, find(folder, "latest")) from None


def read(path: Path) -> TrainerState:
    """Read a checkpoint to the CPU; raises TrainingError if it is damaged."""
    import torch

    try:
        record = json.loads((path / "state.json").read_text(encoding="utf-8"))
        tensors = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
        return TrainerState(int(record["step"]), record["settings"], record["data"], tensors, {})
    except Exception as error:
        raise TrainingError(
            f"{path} cannot be read ({one_line(error)[:120]}); delete it and resume from the "
            "one before"
        ) from None


def compare(saved: TrainerState, settings: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Raise TrainingError if settings or data set differ from those of a checkpoint."""
    name = f"checkpoint-{saved.step}"
    changed = [
        f"{key} was {saved.settings.get(key)!r}, is {value!r}"
        for key, value in settings.items()
        if key not in MAY_CHANGE and saved.settings.get(key) != value
    ]
    if changed:
        raise TrainingError(
            f"{name} was written with other settings ({'; '.join(changed[:4])}): "
            "restore them, or start a new training in another output_dir"
        )
    before = saved.data
    differences = {
        "new": [n for n in data if n not in before],
        "gone": [n for n in before if n not in data],
        "changed": [n for n in data if n in before and before[n] != data[n]],
    }
    parts = [
        f"{len(names)} {what}: {', '.join(sorted(names)[:3])}{', …' if len(names) > 3 else ''}"
        for what, names in differences.items()
        if names
    ]
    if parts:
        raise TrainingError(
            f"the data set differs from that of {name} ({'; '.join(parts)}): restore it, or "
            "start a new training in another output_dir"
        )
