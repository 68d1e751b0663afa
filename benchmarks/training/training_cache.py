"""What cached latents and embeddings are worth: a training's steps against benchmarks/'s plain
ones, in turns in one process, on the same pictures, model and batch."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

WARM = 3
"""Steps at the start that do not count."""
IMPORTED = 1024
"""Longest side of a photo that `visuals dataset import` writes."""
RANK, MODULES = 4, ("to_k", "to_q", "to_v", "to_out.0")
"""As the script has them."""


def measure(
    model: str, work: Path, *, size: int, side: int, batch: int, rounds: int
) -> dict[str, Any]:
    """CPU seconds of a step of both, pictures a CPU second and their ratio, middle of `rounds`.

    The pictures are JPEGs of `side` pixels, the training is at `size`. Filling the caches, once a
    training, is left out.
    """
    from ...checkpoints.catalog import names as catalog
    from ...configs.train import check
    from ...training.train_lora import train_lora
    from . import plain_training

    folder = work / f"photos-{side}"
    _photos(folder, 2 * batch, side)
    settings = check(
        {
            "model": model,
            "train_data_dir": str(folder),
            "output_dir": str(work / f"cached-{side}"),
            "resolution": size,
            "train_batch_size": batch,
            "max_train_steps": WARM + rounds,
            "rank": RANK,
            "target_modules": MODULES,
            "checkpointing_steps": None,
            "save_every_n_epochs": None,
            "device": "cpu",
            "report_to": "none",
        }
    )
    plain = plain_training.steps(
        str(catalog.resolve(model)),
        str(folder),
        size=size,
        batch=batch,
        rank=RANK,
        learning_rate=settings.learning_rate,
        target_modules=list(MODULES),
    )
    ours: list[float] = []
    theirs: list[float] = []
    since = time.process_time()

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal since
        if stage == "train":
            ours.append(time.process_time() - since)
            before = time.process_time()
            next(plain)
            theirs.append(time.process_time() - before)
        since = time.process_time()

    train_lora(settings, progress=progress)
    mine, other = statistics.median(ours[WARM:]), statistics.median(theirs[WARM:])
    return {
        "photo_side": side,
        "size": size,
        "batch": batch,
        "steps": rounds,
        "cached_step_cpu_seconds": round(mine, 4),
        "plain_step_cpu_seconds": round(other, 4),
        "cached_pictures_a_cpu_second": round(batch / mine, 2),
        "plain_pictures_a_cpu_second": round(batch / other, 2),
        "times": round(other / mine, 2),
    }


def _photos(folder: Path, count: int, side: int) -> None:
    """The sample photos as captioned JPEGs of `side` pixels, over and over."""
    import io
    import json

    from PIL import Image

    from ...checkpoints import atomic_files

    there = sorted((Path(__file__).parents[2] / "samples" / "photos").glob("*.jpg"))
    lines = []
    for number in range(count):
        photo = there[number % len(there)]
        held = io.BytesIO()
        with Image.open(photo) as image:
            image.convert("RGB").resize((side, side)).save(held, "JPEG", quality=92)
        name = f"{number:03d}.jpg"
        atomic_files.write(folder / name, held.getvalue())
        lines.append(json.dumps({"file_name": name, "text": f"ppzlook, {photo.stem[3:]}"}))
    atomic_files.write(folder / "metadata.jsonl", ("\n".join(lines) + "\n").encode())
