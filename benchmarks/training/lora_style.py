"""Does a training learn a look, and only with its tag? Pictures before and after it.

The look is the studio's spotlight, which no base picture has, or that of photos of one's own; the
measure is `likeness.distance`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...samples import vocabulary
from ..accuracy import generation, image_distance
from . import lora_style_data

if TYPE_CHECKING:
    from ...pipeline.runner.run import Stages

NAME = "look"
SETTINGS: dict[str, Any] = {
    "model": "mini/sd",
    "resolution": 128,
    "rank": 8,
    "train_batch_size": 8,
    "max_train_steps": 900,
    "learning_rate": 1e-3,
    "text_encoder_lr": 2e-3,
    "lr_scheduler": "cosine",
    "lr_warmup_steps": 20,
    "snr_gamma": 5,
    "random_flip": True,
    "vae_batch_size": 8,
    "with_prior_preservation": True,
    "class_prompt": "a product",
    "prior_loss_weight": 1.5,
    "num_class_images": 1,
    "validation_split": 0.1,
    "checkpointing_steps": None,
    "save_every_n_epochs": None,
    "report_to": "none",
    "device": "cpu",
}
"""docs/training.md has them too."""
CLASS_GUIDANCE = 1.0
"""Of class pictures: what the model says already, no stronger."""
WEIGHT = 0.85
"""Of the LoRA: at 1 it overshoots, and stage 2 finds fewer of the products."""
PHOTOS: dict[str, Any] = {
    "max_train_steps": 300,
    "learning_rate": 4e-4,
    "text_encoder_lr": 4e-4,
    "noise_offset": 0.05,
    "min_timestep": 600,
}
"""What differs for photos, which are much farther from what the base draws: learned longer, or
where there is little noise, the class is lost. Light and colour are laid out where there is much.
The offset teaches black and white backdrops."""
OF_PHOTOS = {"train_loss": "train_loss_photos", "train_look": "train_look_photos"}
"""Bars of their own, by the name of the rendered look's."""
SEED = 52_001
"""Of the pictures; settings were chosen on those of 71_001."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Drawn:
    """Pictures of one prompt: `statistics` float64 (N, 18), of `likeness.statistics`; `found`:
    whether stage 2 finds the class."""

    statistics: np.ndarray
    found: np.ndarray


def drawn(stages: Stages, prompt: str, count: int, seed: int) -> Drawn:
    """`count` pictures of each class through stages 1 and 2."""
    shots = generation.draw(stages, list(vocabulary.CLASSES), count, prompt, seed)
    rows = [image_distance.statistics(s.image) for s in shots]
    return Drawn(np.array(rows), np.array([s.open for s in shots]))


def measure(
    given: dict[str, Any],
    work: Path,
    *,
    photos: int | Path = 60,
    count: int = 4,
    class_count: int = 96,
    weight: float = WEIGHT,
    seed: int = SEED,
    tell: Tell = lambda text: None,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Train in `work` and compare pictures; (values by bar, detail).

    `given`: settings on top of SETTINGS, and of PHOTOS where `photos` is a folder of captioned
    ones and not how many are rendered; `count`: pictures of each class; `class_count`: pictures
    of prior preservation; `weight`: of the LoRA; `seed`: of
    the pictures, class pictures take the next. Minutes are of two cores, CPU time / 2: a busy
    machine does not count.
    """
    from ...configs.schema import load_settings
    from ...configs.train import check
    from ...pipeline.build import stages as build_stages_module
    from ...training.train_lora import train_lora

    real = isinstance(photos, Path)
    settings = load_settings("mini")
    size = settings.generate.width
    tell("photos of the look")
    look = (
        lora_style_data.photographed(photos, size)
        if isinstance(photos, Path)
        else lora_style_data.rendered(work / "photos", photos, size)
    )
    needs = {"generate", "detect", "segment"}
    stages = build_stages_module.build_stages(settings, needs, report=tell)
    tell("pictures before, with the tag and without")
    texts = {"tagged": f"{look.tag}, a {{class}}", "plain": "a {class}"}
    before = {name: drawn(stages, text, count, seed) for name, text in texts.items()}
    used = time.process_time()
    tell("class pictures, which are to stay")
    said = load_settings("mini", {"generate.cfg_scale": CLASS_GUIDANCE})
    lora_style_data.class_pictures(
        build_stages_module.build_stages(said, {"generate"}), work / "class", class_count, seed + 1
    )
    given = {
        **SETTINGS,
        **(PHOTOS if real else {}),
        **given,
        "train_data_dir": str(look.folder),
        "class_data_dir": str(work / "class"),
        "output_dir": str(work / "out"),
        "output_name": NAME,
    }
    done = train_lora(check(given), say=tell, warn=tell, progress=progress)
    minutes = (time.process_time() - used) / 60 / 2
    tell("pictures after, with the tag and without")
    settings = load_settings("mini", {"generate.lora_dirs": [str(work / "out")]})
    stages = build_stages_module.build_stages(settings, needs, report=tell)
    after = {
        name: drawn(stages, f"{text} <lora:{NAME}:{weight:g}>", count, seed)
        for name, text in texts.items()
    }
    values, detail = compare(look.statistics, before, after, done.held_out)
    if real:
        values = {OF_PHOTOS.get(key, key): value for key, value in values.items()}
    return values | {"train_minutes": minutes}, {
        "learned": done.pictures,
        "pictures": count * len(vocabulary.CLASSES),
        "steps": done.steps,
        "weight": weight,
        **detail,
        "settings": given,
    }


def compare(
    look: np.ndarray,
    before: dict[str, Drawn],
    after: dict[str, Drawn],
    losses: Sequence[tuple[float, float]],
) -> tuple[dict[str, float], dict[str, Any]]:
    """(values by bar, detail). `look`: statistics (N, 18) of what was to be learned."""
    rows = {k: (before[k].statistics, after[k].statistics, look) for k in before}
    gains = {name: image_distance.gain(*three) for name, three in rows.items()}
    return {
        "train_loss": losses[-1][1] / losses[0][1],
        "train_look": gains["tagged"],
        "train_plain": abs(gains["plain"]),
        "train_kept": float(after["tagged"].found.mean()),
    }, {
        "held_out_loss": [losses[0][1], losses[-1][1]],
        "found_before": float(before["tagged"].found.mean()),
        "gain": gains,
        "gain_95": {name: image_distance.interval(*three) for name, three in rows.items()},
        "distance": {
            name: [image_distance.distance(a, look), image_distance.distance(b, look)]
            for name, (a, b, _) in rows.items()
        },
        # of each picture, toward the look or not
        "moved": {n: float(np.linalg.norm(a - b, axis=1).mean()) for n, (a, b, _) in rows.items()},
    }
