"""Class pictures for prior preservation: what the base model draws for the class prompt.

They keep the class from becoming the look (DreamBooth, arXiv:2208.12242, section 3.3).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..datasets import images as dataset_images

if TYPE_CHECKING:
    from ...configs.train_file import TrainSettings

BATCH = 4
STEPS = 25


def fill(settings: TrainSettings, device: Any, progress: Callable[[int, int], None]) -> int:
    """Draw what `class_data_dir` lacks of `num_class_images` pictures; how many were drawn."""
    s, folder = settings, Path(str(settings.class_data_dir))
    there = (
        [p for p in folder.rglob("*") if dataset_images.is_picture(p)] if folder.is_dir() else []
    )
    missing = s.num_class_images - len(there)
    if missing <= 0:
        return 0
    import torch

    from ...checkpoints.load import load_text_to_image
    from ...stages.diffusion.samplers import scheduler

    pipe = load_text_to_image(s.model, device=str(device), allow_pickle=s.allow_pickle)
    pipe.scheduler = scheduler("DPM++ 2M", pipe.scheduler.config)
    names = {p.name for p in there}
    free = [n for n in range(s.num_class_images + len(there)) if _name(n) not in names][:missing]
    for start in range(0, missing, BATCH):
        part = free[start : start + BATCH]
        with torch.no_grad():
            images = pipe(
                prompt=[s.class_prompt] * len(part),
                num_inference_steps=STEPS,
                width=s.resolution[0],
                height=s.resolution[1],
                generator=[torch.Generator().manual_seed(s.seed + n) for n in part],
            ).images
        for number, image in zip(part, images, strict=True):
            held = io.BytesIO()
            image.save(held, "PNG")
            dataset_images.write(folder / _name(number), held.getvalue())
        progress(start + len(part), missing)
    return missing


def _name(number: int) -> str:
    return f"class-{number:05d}.png"
