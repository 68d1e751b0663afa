"""Checkpoints of a training: written beside and renamed, found again, compared, restored.

`checkpoint-N/` holds `state.pt` (weights, optimizer, moving average, loss scale), `state.json`
(step, settings, data set) and the LoRA itself in diffusers' keys. Order and chance of the data
follow from seed and step (`order`), so the step is all there is to keep of them.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...configs.errors import one_line
from ..datasets import images as dataset_images
from ..errors import TrainingError
from ..lora import save as lora_save

FREE = frozenset(
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
"""Settings that may change between a checkpoint and its resumption."""
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class TrainingCheckpoint:
    """A checkpoint as it was read. `tensors`: what `state.pt` holds."""

    path: Path
    step: int
    about: dict[str, Any]
    tensors: dict[str, Any]


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, the oldest first."""
    found = [(_NAME.fullmatch(p.name), p) for p in folder.glob("checkpoint-*")]
    whole = [(int(m[1]), p) for m, p in found if m and (p / "state.json").is_file()]
    return [path for _, path in sorted(whole)]


def save(
    folder: Path,
    step: int,
    *,
    tensors: Mapping[str, Any],
    about: Mapping[str, Any],
    lora: Mapping[str, Any],
    limit: int | None,
) -> Path:
    """Write `checkpoint-<step>` whole, then delete the oldest beyond `limit`."""
    import torch
    from safetensors.torch import save as as_bytes

    path = folder / f"checkpoint-{step}"
    part = folder / f".{path.name}.part"
    for left in folder.glob(".checkpoint-*.part"):  # of a process that was killed
        shutil.rmtree(left)
    try:
        held = io.BytesIO()
        torch.save(dict(tensors), held)
        dataset_images.write(part / "state.pt", held.getvalue())
        dataset_images.write(
            part / lora_save.DIFFUSERS_NAME, as_bytes(dict(lora), {"format": "pt"})
        )
        text = json.dumps({"step": step, **about}, ensure_ascii=False, indent=1)
        dataset_images.write(part / "state.json", text.encode())
        if path.exists():
            shutil.rmtree(path)
        part.rename(path)
        _sync(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    for old in checkpoints(folder)[: -limit or None] if limit else ():
        if old != path:
            shutil.rmtree(old)
    return path


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some file systems cannot
    finally:
        os.close(handle)


def find(folder: Path, wanted: str) -> Path | None:
    """`latest`, the name of a checkpoint or its path; None where `latest` finds none yet."""
    there = checkpoints(folder)
    if wanted == "latest":
        return there[-1] if there else None
    for path in (Path(wanted), folder / Path(wanted).name):
        if (path / "state.json").is_file():
            return path
    names = ", ".join(p.name for p in there) or "none"
    raise TrainingError(
        f"resume_from_checkpoint {wanted!r}: no such checkpoint in {folder} (there: {names}); "
        "set latest"
    )


def read(path: Path) -> TrainingCheckpoint:
    """Read a checkpoint to the CPU; raises TrainingError where it is damaged."""
    import torch

    try:
        about = json.loads((path / "state.json").read_text(encoding="utf-8"))
        tensors = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
        return TrainingCheckpoint(path, int(about["step"]), about, tensors)
    except Exception as error:
        what = one_line(error)[:120]
        raise TrainingError(
            f"{path} cannot be read ({what}); delete it and resume from the one before"
        ) from None


def compare(
    saved: TrainingCheckpoint, settings: Mapping[str, Any], data: Mapping[str, Any]
) -> None:
    """Raises TrainingError where settings or data set are not what they were."""
    before = saved.about["settings"]
    changed = [
        f"{name} was {before.get(name)!r}, is {value!r}"
        for name, value in settings.items()
        if name not in FREE and before.get(name) != value
    ]
    if changed:
        raise TrainingError(
            f"{saved.path.name} was written with other settings ({'; '.join(changed[:4])}): "
            "set them back, or start anew in another output_dir"
        )
    old = saved.about["data"]
    parts = {
        "new": [n for n in data if n not in old],
        "gone": [n for n in old if n not in data],
        "changed": [n for n in data if n in old and old[n] != data[n]],
    }
    told = [
        f"{len(names)} {what}: {', '.join(sorted(names)[:3])}{', …' if len(names) > 3 else ''}"
        for what, names in parts.items()
        if names
    ]
    if told:
        raise TrainingError(
            f"the data set is not what it was at {saved.path.name} ({'; '.join(told)}): put it "
            "back, or start anew in another output_dir"
        )
