"""Data sets of a few sample photos, and settings of trainings that take seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from visuals.configs.train import TrainSettings, check

PHOTOS = Path(__file__).resolve().parents[2] / "samples" / "photos"
NAMES = {
    "02-purple-handbag": "ppzlook, a purple handbag, studio photography, on a shelf",
    "03-red-wristwatch": "ppzlook, a red wristwatch, studio photography, on a table",
    "04-teal-mug": "ppzlook, a teal mug, studio photography, white background",
    "05-brown-bottle": "ppzlook, a brown bottle, studio photography",
    "06-orange-car": "ppzlook, a car",
}


def write_photos(folder: Path, size: int = 64) -> Path:
    """Five captioned photos, small."""
    folder.mkdir(parents=True)
    for name, text in NAMES.items():
        with Image.open(PHOTOS / f"{name}.jpg") as image:
            image.convert("RGB").resize((size, size)).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(text + "\n")
    return folder


def small(data: Path, out: Path, **changes: Any) -> TrainSettings:
    """Seven steps of batch 2, rank 2, at 64 pixels on the CPU."""
    values: dict[str, Any] = {
        "model": "mini/sd",
        "train_data_dir": str(data),
        "output_dir": str(out),
        "output_name": "look",
        "resolution": 64,
        "rank": 2,
        "lora_alpha": 1,
        "train_batch_size": 2,
        "max_train_steps": 7,
        "learning_rate": 2e-3,
        "seed": 5,
        "device": "cpu",
        "save_precision": "float",
        "report_to": "none",
        **changes,
    }
    return check(values)
